import { describe, expect, it } from "vitest";
import { checkNode } from "../../src/cli/doctorChecks.js";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();

describe.concurrent("facet doctor", () => {
  it("runs a program on the CPU engine and says that the others are not used", async () => {
    const { code, stdout, stderr } = await runFacet(["doctor", "--json"], folder);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { ok, checks } = JSON.parse(stdout);
    const find = (name: string) => checks.find((check: { name: string }) => check.name === name);
    expect(ok).toBe(true);
    expect(find("Engine onnx, CPU")).toMatchObject({ ok: true, required: true });
    expect(find("Engine onnx, webgpu")).toMatchObject({ ok: false, required: false });
    expect(find("Preset facet_nano_en")).toMatchObject({ ok: true });
    expect(find("Other presets").detail).toContain("gemma_7b_en");
    expect(find("Hugging Face's files").detail).toContain("huggingface");
    expect(find("Disk").detail).toContain("free in");
  });

  it("has a line for each check for people", async () => {
    const { stdout } = await runFacet(["doctor"], folder);
    expect(stdout).toContain("✓ Node.js: ");
    expect(stdout).toContain("Facet works here.");
    expect(stdout).not.toContain("\u001B");
  });

  it.each([
    ["20.18.3", false],
    ["18.20.0", false],
    ["20.19.0", true],
    ["22.1.0", true],
  ])("Node.js %s works: %s", (version, ok) => {
    expect(checkNode(version)).toMatchObject({ ok, required: true });
  });
});
