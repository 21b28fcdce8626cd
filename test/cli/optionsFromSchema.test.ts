import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { addSchemaOptions, givenOptions, requireOptions } from "../../src/cli/optionsFromSchema.js";
import { finetuneSchema } from "../../src/recipes/finetuneConfig.js";
import { pretrainSchema } from "../../src/recipes/pretrainConfig.js";

const schema = z.strictObject({
  dataFile: z.string().describe("a file"),
  maxSteps: z.int().positive().optional().describe("steps"),
  learningRate: z.number().positive().default(0.1).describe("rate"),
  shuffle: z.boolean().default(true).describe("shuffle"),
  recompute: z.boolean().default(false).describe("recompute"),
  kind: z.enum(["truncate", "drop"]).default("drop").describe("what to do"),
  modules: z
    .array(z.enum(["q_proj", "v_proj"]))
    .min(1)
    .default(["q_proj"])
    .describe("layers"),
  prompts: z.array(z.string()).default([]).describe("texts"),
  places: z
    .union([z.string(), z.array(z.string()).min(1)])
    .optional()
    .describe("one or more"),
  weights: z.array(z.number().positive()).optional().describe("numbers"),
});

function command(...args: string[]): Command {
  const made = addSchemaOptions(new Command("test"), schema)
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  return made.parse(args, { from: "user" });
}
const given = (...args: string[]) => givenOptions(command(...args), schema);

describe("options from a schema", () => {
  it("are the keys in kebab case, with values of the schema's types", () => {
    expect(given("--data-file", "a", "--max-steps", "3", "--learning-rate", "1e-3")).toEqual({
      dataFile: "a",
      maxSteps: 3,
      learningRate: 0.001,
    });
  });

  it("have no value that was not given", () => {
    expect(given()).toEqual({});
  });

  it("turn booleans on and off", () => {
    expect(given("--no-shuffle", "--recompute")).toEqual({ shuffle: false, recompute: true });
    expect(given("--shuffle")).toEqual({ shuffle: true });
  });

  it("take lists of names by commas or one by one, and texts with commas whole", () => {
    expect(given("--modules", "q_proj,v_proj").modules).toEqual(["q_proj", "v_proj"]);
    expect(given("--modules", "q_proj", "--modules", "v_proj").modules).toEqual([
      "q_proj",
      "v_proj",
    ]);
    expect(given("--prompts", "Well, why?", "--prompts", "b").prompts).toEqual(["Well, why?", "b"]);
  });

  it("take one text or several, and lists of numbers", () => {
    expect(given("--places", "a,b", "--places", "c").places).toEqual(["a,b", "c"]);
    expect(given("--weights", "3,0.5").weights).toEqual([3, 0.5]);
  });

  it.each([
    [["--weights", "3,"], 'Invalid --weights "3,": a number is needed'],
    [["--weights", "3,-1"], 'Invalid --weights "3,-1"'],
    [["--max-steps", "0"], 'Invalid --max-steps "0"'],
    [["--max-steps", "1.5"], 'Invalid --max-steps "1.5"'],
    [["--max-steps", ""], 'Invalid --max-steps "": a number'],
    [["--learning-rate", "x"], 'Invalid --learning-rate "x": a number'],
    [["--learning-rate", "-1"], 'Invalid --learning-rate "-1"'],
    [["--kind", "truncat"], 'Unknown --kind "truncat". Did you mean "truncate"?'],
    [["--modules", "q_proj,vproj"], 'Unknown --modules "vproj". Did you mean "v_proj"?'],
    [["--modules", ""], 'Unknown --modules ""'],
    [["--max-step", "1"], "Did you mean --max-steps?"],
  ])("refuse %j", (args, message) => {
    expect(() => given(...args)).toThrow(message);
  });

  it("that the schema requires are named together when they are missing", () => {
    expect(() => requireOptions(command(), schema)).toThrow(
      "required option --data-file not given",
    );
    expect(() => requireOptions(command("--data-file", "a"), schema)).not.toThrow();
  });

  it("show descriptions, choices and defaults in the help", () => {
    const help = command().helpInformation().replace(/\s+/g, " ");
    expect(help).toContain("--kind <name> what to do: truncate, drop (default: drop)");
    expect(help).toContain("--modules <names> layers: q_proj, v_proj (default: q_proj)");
    expect(help).toContain("--learning-rate <x> rate (default: 0.1)");
  });

  it.each([
    ["finetune", finetuneSchema],
    ["pretrain", pretrainSchema],
  ])("exist for every key of %s", (_, recipe) => {
    const made = addSchemaOptions(new Command(), recipe);
    const names = new Set(made.options.map((option) => option.attributeName()));
    expect([...names]).toEqual(Object.keys(recipe.shape));
  });
});
