import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { writeGguf } from "../../src/checkpoints/gguf.js";
import { readHuggingFace } from "../../src/checkpoints/huggingFace.js";
import { writeKerasPreset } from "../../src/checkpoints/kerasWriting.js";
import { locateModel, presetOnThisMachine } from "../../src/hub/locate.js";
import { describeModel, openModel } from "../../src/hub/openModel.js";
import { presets } from "../../src/hub/presets.js";
import { startHub } from "../support/hub.js";
import { temporaryFolder, tinyModelFolder } from "../support/modelFolder.js";
import { tarFile } from "../support/tarFile.js";

/** The tiny Gemma 1 of the fixtures as a repository. */
function tinyRepository() {
  const folder = tinyModelFolder();
  const read = (name: string) => readFileSync(join(folder, name));
  return {
    "config.json": { bytes: read("config.json") },
    "model.safetensors": { bytes: read("model.safetensors"), large: true },
    "tokenizer.model": { bytes: read("tokenizer.model"), large: true },
    "README.md": "# Tiny",
  };
}

describe("a model is opened by", () => {
  it("the name of its repository, with or without hf://", async () => {
    const { server } = await startHub();
    server.publish("some/tiny", tinyRepository());
    const local = await openModel(tinyModelFolder());
    for (const name of ["some/tiny", "hf://some/tiny", "hf://some/tiny@main"]) {
      const model = await openModel(name);
      expect(model).toMatchObject({ name: "some/tiny", config: local.config });
      expect([...model.weights.keys()]).toEqual([...local.weights.keys()]);
      expect(model.tokenizer!.encode("hello")).toEqual(local.tokenizer!.encode("hello"));
    }
  });

  it("a preset's name", async () => {
    const { server } = await startHub();
    server.publish("google/gemma-2b", tinyRepository());
    const { name, folder } = await openModel("gemma_2b_en");
    expect(name).toBe("gemma_2b_en");
    expect(await presetOnThisMachine("gemma_2b_en")).toBe(folder);
    server.asked.length = 0;
    await openModel("gemma_2b_en");
    expect(server.asked, "the weights of a preset do not change").toEqual([]);
  });

  it("the name of a GGUF file in a repository, or its address", async () => {
    const { server, home } = await startHub();
    const file = join(temporaryFolder(), "tiny.gguf");
    writeGguf(file, readHuggingFace(tinyModelFolder()), { type: "F32" });
    const bytes = readFileSync(file);
    server.publish("some/quantised", { "a/tiny.gguf": { bytes, large: true }, "b.gguf": "other" });
    server.serve("/files/tiny.gguf", { bytes });
    const model = await openModel("hf://some/quantised/a/tiny.gguf");
    expect(model.name).toBe("tiny");
    expect(model.folder.startsWith(join(home, "facet", "converted"))).toBe(true);
    expect(server.asked.some(({ path }) => path.endsWith("b.gguf"))).toBe(false);
    expect((await openModel(`${server.url}/files/tiny.gguf`)).config).toEqual(model.config);
  });

  it("the handle of a Keras preset at Kaggle, or of its repository", async () => {
    const { server } = await startHub();
    const preset = join(temporaryFolder(), "preset");
    await writeKerasPreset(preset, readHuggingFace(tinyModelFolder()), { dtype: "F32" });
    const files = readdirSync(preset, { recursive: true, encoding: "utf8" })
      .filter((path) => statSync(join(preset, path)).isFile())
      .map((path) => ({ path, bytes: readFileSync(join(preset, path)) }));
    server.serve("/api/v1/models/some/tiny/keras/tiny_en/1/download", { bytes: tarFile(files) });
    server.publish(
      "keras/tiny_en",
      Object.fromEntries(
        files.map(({ path, bytes }) => [path, { bytes, large: bytes.length > 1e5 }]),
      ),
    );
    const local = await openModel(preset);
    for (const name of ["kaggle://some/tiny/keras/tiny_en/1", "hf://keras/tiny_en"]) {
      const model = await openModel(name);
      expect(model.config).toEqual(local.config);
      expect(model.tokenizer!.encode("hello")).toEqual(local.tokenizer!.encode("hello"));
      expect((await describeModel(name)).config).toEqual(local.config);
    }
  });

  it("its folder, even if a repository has the same name", async () => {
    const { server } = await startHub();
    server.publish("some/tiny", tinyRepository());
    const parent = temporaryFolder();
    cpSync(tinyModelFolder(), join(parent, "some/tiny"), { recursive: true });
    vi.spyOn(process, "cwd").mockReturnValue(parent);
    expect(await locateModel("some/tiny")).toEqual({
      path: join(parent, "some/tiny"),
      name: "tiny",
    });
    expect(server.asked).toEqual([]);
    vi.restoreAllMocks();
  });
});

describe("a preset", () => {
  it("comes from Kaggle for who has an account there only", async () => {
    const { server } = await startHub();
    vi.stubEnv("KAGGLE_API_TOKEN", "t");
    const bytes = tarFile([{ path: "config.json", bytes: Buffer.from("{}") }]);
    server.serve("/api/v1/models/keras/gemma/keras/gemma_2b_en/3/download", { bytes });
    const { path } = await locateModel("gemma_2b_en");
    expect(path).toContain("kagglehub/models/keras/gemma/keras/gemma_2b_en/3");
    expect(await presetOnThisMachine("gemma_2b_en")).toBe(path);
  });

  it("lies in Facet's own folder if somebody put it there", async () => {
    const { server, home } = await startHub();
    const own = join(home, "facet/models/gemma_2b_en");
    mkdirSync(dirname(own), { recursive: true });
    cpSync(tinyModelFolder(), own, { recursive: true });
    expect((await locateModel("gemma_2b_en")).path).toBe(realpathSync(own));
    expect(server.asked).toEqual([]);
  });

  it("that is not here says what to do when requests are forbidden", async () => {
    await startHub();
    vi.stubEnv("HF_HUB_OFFLINE", "1");
    await expect(openModel("gemma_2b_en")).rejects.toThrow(
      /google\/gemma-2b is not on this machine/,
    );
  });

  it("is built in, or has its source at both services", async () => {
    await startHub();
    expect(existsSync(join((await locateModel("facet_nano_en")).path, "config.json"))).toBe(true);
    for (const name of Object.keys(presets)) await presetOnThisMachine(name);
  });
});

describe("the shape of a model", () => {
  it("needs its config.json only", async () => {
    const { server } = await startHub();
    server.publish("some/tiny", tinyRepository());
    const { name, config } = await describeModel("some/tiny");
    expect(name).toBe("some/tiny");
    expect(config).toEqual((await describeModel(tinyModelFolder())).config);
    const files = server.asked.filter(({ path }) => path.includes("/resolve/"));
    expect(files.map(({ path }) => path.split("/").at(-1))).toEqual(["config.json"]);
  });
});

describe("an error says what to do for", () => {
  it.each([
    ["gemma_2b", /Did you mean "gemma_2b_en"/],
    ["gemma3_4b", /sees images/],
    [
      "./models/gemma",
      /There is no folder .*models\/gemma\. Give a model folder, a preset \(.*hf:\/\/org\/name/,
    ],
    ["a/b/c", /There is no folder/],
    ["hf://datasets/some/rows", /is a data set, not a model/],
    ["hf://some/tiny/model.safetensors", /of single files Facet can use \.gguf/],
    ["https://example.org/model.safetensors", /of single files Facet can use \.gguf/],
    ["some/missing", /There is no model .*some\/missing, and no folder or file of that name here/],
  ])("%s", async (name, message) => {
    await startHub();
    await expect(locateModel(name)).rejects.toThrow(message);
  });

  it("a folder that is no model", async () => {
    await startHub();
    const folder = temporaryFolder();
    writeFileSync(join(folder, "x"), "");
    await expect(openModel(folder)).rejects.toThrow(/is no model folder/);
  });
});
