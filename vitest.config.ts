import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // The engine uses every core itself, so test files run one after another.
    fileParallelism: false,
    pool: "forks",
    testTimeout: 60_000,
    // No test may ask a real server. Those of downloads have one of their own.
    env: { HF_HUB_OFFLINE: "1" },
  },
});
