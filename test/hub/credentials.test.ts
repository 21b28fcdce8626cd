import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { huggingFaceCredentials, kaggleCredentials } from "../../src/hub/credentials.js";
import { temporaryFolder } from "../support/modelFolder.js";

let home: string;
beforeEach(() => {
  home = temporaryFolder();
  const none = [
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_TOKEN_PATH",
    "KAGGLE_API_TOKEN",
    "KAGGLE_USERNAME",
    "KAGGLE_KEY",
  ];
  for (const name of none) vi.stubEnv(name, "");
  vi.stubEnv("HF_HOME", home);
  vi.stubEnv("KAGGLE_CONFIG_DIR", home);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
});

const place = (path: string, text: string) => {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};

describe("the token of Hugging Face", () => {
  it("is none where there is none", () => {
    expect(huggingFaceCredentials()).toBeUndefined();
  });

  it("is that of the environment, then that of the stored login", () => {
    place(join(home, "token"), "hf_stored\n");
    expect(huggingFaceCredentials()).toEqual({
      authorization: "Bearer hf_stored",
      from: join(home, "token"),
    });
    place(join(home, "elsewhere", "token"), "hf_moved");
    vi.stubEnv("HF_TOKEN_PATH", join(home, "elsewhere", "token"));
    expect(huggingFaceCredentials()?.authorization).toBe("Bearer hf_moved");
    vi.stubEnv("HUGGING_FACE_HUB_TOKEN", "hf_old");
    expect(huggingFaceCredentials()?.authorization).toBe("Bearer hf_old");
    vi.stubEnv("HF_TOKEN", " hf_new ");
    expect(huggingFaceCredentials()).toEqual({ authorization: "Bearer hf_new", from: "HF_TOKEN" });
  });
});

describe("the credentials of Kaggle", () => {
  const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

  it("are none where there are none", () => {
    expect(kaggleCredentials()).toBeUndefined();
  });

  it("are those of the environment, then those of the stored files", () => {
    place(join(home, "kaggle.json"), '{"username": "me", "key": "k1"}');
    expect(kaggleCredentials()?.authorization).toBe(basic("me:k1"));
    place(join(home, "access_token"), "t1\n");
    expect(kaggleCredentials()?.authorization).toBe("Bearer t1");
    vi.stubEnv("KAGGLE_USERNAME", "me");
    expect(kaggleCredentials()?.authorization).toBe("Bearer t1");
    vi.stubEnv("KAGGLE_KEY", "k2");
    expect(kaggleCredentials()?.authorization).toBe(basic("me:k2"));
    vi.stubEnv("KAGGLE_API_TOKEN", "t2");
    expect(kaggleCredentials()).toEqual({ authorization: "Bearer t2", from: "KAGGLE_API_TOKEN" });
  });

  it.each(["secret{", '{"username": "me"}', "null", "[]"])(
    "of a file that is none, %j, are an error that does not quote it",
    (text) => {
      place(join(home, "kaggle.json"), text);
      expect(kaggleCredentials).toThrow(/kaggle\.json is not what Kaggle writes/);
      expect(kaggleCredentials).not.toThrow(/secret/);
    },
  );
});
