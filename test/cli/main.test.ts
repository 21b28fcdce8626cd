import { describe, expect, it } from "vitest";
import { runFacet, workFolder } from "./facet.js";

const folder = workFolder();
const commands = [
  "summary",
  "finetune",
  "generate",
  "chat",
  "evaluate",
  "inspect",
  "augment",
  "pretrain",
  "quickstart",
  "download",
  "reproduce",
  "schema",
  "doctor",
];
const subcommands = [
  "adapter show",
  "adapter add",
  "adapter scale",
  "adapter merge",
  "adapter svd",
];

describe.concurrent("facet", () => {
  it.each([...commands, ...subcommands])(
    "%s --help shows options, what --json prints, and examples",
    async (name) => {
      const { code, stdout, stderr } = await runFacet([...name.split(" "), "--help"], folder);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toMatch(new RegExp(`^Usage: facet ${name} `));
      expect(stdout).toMatch(/--json +print one JSON document/);
      expect(stdout).toMatch(/--json\s+prints/);
      expect(stdout).toMatch(new RegExp(`Examples:\n(.*\n)*.*facet ${name}`));
    },
  );

  it("prints its version", async () => {
    const { stdout } = await runFacet(["--version"], folder);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it("lists all commands, on stderr and with an error code when none was given", async () => {
    const { code, stdout, stderr } = await runFacet([], folder);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    for (const name of commands) expect(stderr).toContain(`  ${name} `);
  });

  it.each([
    [["fintune"], "error: unknown command 'fintune'\n(Did you mean finetune?)\n"],
    [["summary", "--modle", "x"], "error: unknown option '--modle'\n(Did you mean --model?)\n"],
    [["summary", "x", "--model", "y"], /^error: too many arguments for 'summary'/],
    [["summary"], "error: required option --model not given\n"],
    [["evaluate"], "error: required option --model not given\n"],
  ])("refuses %j on stderr with exit code 1", async (args, message) => {
    const { code, stdout, stderr } = await runFacet(args, folder);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    if (typeof message === "string") expect(stderr).toBe(message);
    else expect(stderr).toMatch(message);
  });
});
