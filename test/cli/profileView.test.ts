import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { profileTable, profileTo } from "../../src/cli/profileView.js";
import type { ProgramProfile } from "../../src/engines/profile.js";

const profile: ProgramProfile = {
  program: "training",
  runs: 10,
  milliseconds: 20,
  operations: [
    { operation: "matmul", phase: "backward", count: 9, milliseconds: 12, flops: 6e9, bytes: 6e7 },
    { operation: "add", phase: "forward", count: 4, milliseconds: 6, flops: 0, bytes: 3e8 },
  ],
};

test("the table says what an operation takes and how fast it goes", () => {
  expect(profileTable(profile).split("\n")).toEqual([
    "training: 20.0 ms a run, mean of 10; 6.0 GFLOP in matrix products, 0.36 GB to read and write",
    "operation               number     ms   share  GFLOP/s  GB/s",
    "matmul, backward             9  12.00  60.0 %      500   5.0",
    "add, forward                 4   6.00  30.0 %           50.0",
    "outside the operations           2.00  10.0 %",
  ]);
});

test("the file holds every program's profile", () => {
  const file = join(mkdtempSync(join(tmpdir(), "facet-test-")), "profile.json");
  const report = profileTo(file);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual([]);
  report(profile);
  report({ ...profile, program: "evaluation" });
  const saved = JSON.parse(readFileSync(file, "utf8")) as ProgramProfile[];
  expect(saved.map(({ program }) => program)).toEqual(["training", "evaluation"]);
  expect(saved[0]).toEqual(profile);
});
