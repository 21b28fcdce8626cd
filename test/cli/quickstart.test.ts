import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { assets } from "../../src/hub/places.js";
import { startFacet, workFolder } from "./facet.js";

const folder = workFolder();

describe.skipIf(!existsSync(join(assets, "facet_nano_en", "model.safetensors")))(
  "facet quickstart",
  () => {
    it("takes a fresh run folder, and can be interrupted and resumed", async () => {
      mkdirSync(join(folder, "runs", "quickstart"), { recursive: true });
      const running = startFacet(["quickstart", "--json"], folder);
      await running.says("Training 1/");
      running.process.kill("SIGINT");
      const { code, stdout, stderr } = await running.ended;
      expect(code).toBe(130);
      expect(JSON.parse(stdout)).toMatchObject({
        run: expect.stringMatching(/runs\/quickstart-2$/),
        status: "interrupted",
      });
      expect(stderr).toContain("Held out, before: loss ");
      expect(stderr).toContain("npx facet finetune --resume --run runs/quickstart-2");
    });
  },
);
