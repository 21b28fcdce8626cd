import { describe, expect, it } from "vitest";
import { isPlainPath, parseSource } from "../../src/hub/source.js";

const model = (name: string, revision = "main", file?: string) => ({
  kind: "huggingFace",
  repository: { type: "model", name },
  revision,
  file,
});
const data = (name: string, revision = "main", file?: string) => ({
  ...model(name, revision, file),
  repository: { type: "dataset", name },
});

describe("a name stands for", () => {
  it.each([
    ["google/gemma-2b", model("google/gemma-2b")],
    ["google/gemma-2b@float16", model("google/gemma-2b", "float16")],
    ["hf://google/gemma-2b", model("google/gemma-2b")],
    ["hf://models/google/gemma-2b", model("google/gemma-2b")],
    ["hf://google/gemma-2b@refs%2Fpr%2F1", model("google/gemma-2b", "refs/pr/1")],
    ["hf://org/name/sub/x.gguf", model("org/name", "main", "sub/x.gguf")],
    ["hf://datasets/databricks/dolly@v1/a.jsonl", data("databricks/dolly", "v1", "a.jsonl")],
    ["https://huggingface.co/google/gemma-2b", model("google/gemma-2b")],
    ["https://huggingface.co/google/gemma-2b/tree/float16", model("google/gemma-2b", "float16")],
    [
      "https://hf.co/org/name/blob/main/a%20b.gguf?download=true",
      model("org/name", "main", "a b.gguf"),
    ],
    ["https://huggingface.co/org/name/resolve/v1/x.gguf", model("org/name", "v1", "x.gguf")],
    ["https://huggingface.co/datasets/org/name/viewer/default", data("org/name")],
  ])("%s: a repository of Hugging Face", (name, source) => {
    expect(parseSource(name, "model")).toEqual(source);
  });

  it("org/name: a repository of the kind that is looked for", () => {
    expect(parseSource("org/name", "dataset")).toEqual(data("org/name"));
    expect(parseSource("hf://org/name", "dataset")).toEqual(data("org/name"));
  });

  it.each([
    ["kaggle://keras/gemma/keras/gemma_2b_en/3", 3],
    ["kaggle://keras/gemma/keras/gemma_2b_en", undefined],
    ["https://www.kaggle.com/models/keras/gemma/keras/gemma_2b_en/3", 3],
  ])("%s: a model of Kaggle", (name, version) => {
    const [owner, framework, variation] = ["keras", "keras", "gemma_2b_en"];
    expect(parseSource(name, "model")).toEqual({
      kind: "kaggle",
      model: { owner, model: "gemma", framework, variation, version },
    });
  });

  it("an https address: what is there", () => {
    expect(parseSource("https://example.org/x.gguf", "model")).toEqual({
      kind: "url",
      url: new URL("https://example.org/x.gguf"),
    });
  });

  it.each([
    "gemma_2b",
    "./models/gemma",
    "../up",
    "/abs/path",
    "a/b/c",
    "models/x.gguf",
    "data/rows.jsonl",
    "a--b/c",
    "-a/b",
  ])("%s: nothing that can be downloaded", (name) => {
    expect(parseSource(name, "model")).toBeUndefined();
  });
});

describe("an address is refused", () => {
  it.each([
    ["hf://google", /names no repository.*hf:\/\/org\/name/],
    ["hf://google/../gemma", /names no repository/],
    ["hf://org/name/../../etc/passwd", /cannot be one/],
    ["hf://org/name@../../x", /cannot be one/],
    ["kaggle://keras/gemma", /names no model of Kaggle.*gemma_2b_en/],
    ["kaggle://keras/gemma/keras/../3", /names no model of Kaggle/],
    ["kaggle://keras/gemma/keras/gemma_2b_en/0", /names no model of Kaggle/],
    ["http://example.org/x.gguf", /not encrypted/],
    ["https://huggingface.co/org", /names no repository/],
    ["https://huggingface.co/org/name/settings", /not the page/],
    ["https://", /not an address/],
    ["https://huggingface.co/%ff/x", /not an address/],
  ])("%s", (name, message) => {
    expect(() => parseSource(name, "model")).toThrow(message);
  });
});

it("a path from elsewhere is plain when it stays in its folder on any system", () => {
  for (const path of ["a", "a/b.json", "a b/c-1.0", ".gitattributes"])
    expect(isPlainPath(path)).toBe(true);
  for (const path of [
    "",
    "/a",
    "a//b",
    "a/",
    "..",
    "a/../b",
    "./a",
    "a\\b",
    "C:x",
    "a\nb",
    "a\0",
    "x".repeat(600),
  ])
    expect(isPlainPath(path), path).toBe(false);
});
