import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import {
  cleanTemporaries,
  writeFileAtomic,
  writeFolderAtomic,
} from "../../src/formats/atomicFile.js";
import { temporaryFolder } from "./temporaryFolder.js";

const at = temporaryFolder();

/** What Node.js throws when a write finds the disk full. */
function diskFull(): Error {
  return Object.assign(new Error("ENOSPC: no space left on device, write"), {
    code: "ENOSPC",
    errno: -28,
    syscall: "write",
  });
}

describe("writeFileAtomic", () => {
  it("writes text, bytes and a sequence of chunks", () => {
    writeFileAtomic(at("text"), "ü\n");
    writeFileAtomic(at("bytes"), Uint8Array.of(0, 255));
    writeFileAtomic(at("chunks"), [Uint8Array.of(1, 2), new Uint8Array(0), Uint8Array.of(3)]);
    expect(readFileSync(at("text"), "utf8")).toBe("ü\n");
    expect([...readFileSync(at("bytes"))]).toEqual([0, 255]);
    expect([...readFileSync(at("chunks"))]).toEqual([1, 2, 3]);
    expect(readdirSync(at()).sort()).toEqual(["bytes", "chunks", "text"]);
  });

  it("replaces a file, and shows the old one until the last byte is written", () => {
    writeFileAtomic(at("file"), "old");
    function* chunks() {
      yield new Uint8Array(10);
      expect(readFileSync(at("file"), "utf8")).toBe("old");
    }
    writeFileAtomic(at("file"), chunks());
    expect(readFileSync(at("file"))).toEqual(Buffer.alloc(10));
  });

  it("says that the disk is full, keeps the old file and removes the temporary one", () => {
    writeFileAtomic(at("file"), "old");
    function* chunks() {
      yield new Uint8Array(10);
      throw diskFull();
    }
    const write = () => writeFileAtomic(at("file"), chunks());
    expect(write).toThrow(FacetError);
    expect(write).toThrow(/file: the disk is full.*Nothing was overwritten/);
    expect(readFileSync(at("file"), "utf8")).toBe("old");
    expect(readdirSync(at())).toEqual(["file"]);
  });

  it("passes on an error of the data, and cleans up as well", () => {
    function* chunks() {
      yield new Uint8Array(10);
      throw new FacetError("tensor x is wrong");
    }
    expect(() => writeFileAtomic(at("file"), chunks())).toThrow(/^tensor x is wrong$/);
    expect(readdirSync(at())).toEqual([]);
  });

  it("names a folder that does not exist, and a target that is a folder", () => {
    expect(() => writeFileAtomic(at("no", "file"), "x")).toThrow(/its folder does not exist/);
    mkdirSync(at("folder"));
    expect(() => writeFileAtomic(at("folder"), "x")).toThrow(/a folder has that name/);
    expect(readdirSync(at())).toEqual(["folder"]);
  });
});

describe("writeFolderAtomic", () => {
  it("shows nothing under the final name until the folder is filled", async () => {
    await writeFolderAtomic(at("run"), async (temporary) => {
      writeFileSync(`${temporary}/a`, "1");
      mkdirSync(`${temporary}/inner`);
      writeFileSync(`${temporary}/inner/b`, "2");
      await Promise.resolve();
      expect(existsSync(at("run"))).toBe(false);
    });
    expect(readFileSync(at("run", "inner", "b"), "utf8")).toBe("2");
    expect(readdirSync(at())).toEqual(["run"]);
  });

  it("replaces a folder as a whole", async () => {
    mkdirSync(at("run"));
    writeFileSync(at("run", "old"), "");
    await writeFolderAtomic(at("run"), (temporary) => writeFileSync(`${temporary}/new`, ""));
    expect(readdirSync(at("run"))).toEqual(["new"]);
    expect(readdirSync(at())).toEqual(["run"]);
  });

  it("keeps the old folder when filling fails", async () => {
    mkdirSync(at("run"));
    writeFileSync(at("run", "old"), "");
    const fill = (temporary: string) => {
      writeFileSync(`${temporary}/new`, "");
      throw diskFull();
    };
    await expect(writeFolderAtomic(at("run"), fill)).rejects.toThrow(
      /the disk is full.*Nothing was overwritten/,
    );
    expect(readdirSync(at("run"))).toEqual(["old"]);
    expect(readdirSync(at())).toEqual(["run"]);
  });

  it("does not replace a file", async () => {
    writeFileSync(at("run"), "precious");
    await expect(writeFolderAtomic(at("run"), () => {})).rejects.toThrow(/a file has that name/);
    expect(readFileSync(at("run"), "utf8")).toBe("precious");
  });

  it("replaces from within a process that is killed: the old folder or the new one is there", () => {
    mkdirSync(at("run"));
    writeFileSync(at("run", "old"), "");
    const script = `
      import { writeFolderAtomic } from ${JSON.stringify(new URL("../../src/formats/atomicFile.ts", import.meta.url).href)};
      import { writeFileSync } from "node:fs";
      await writeFolderAtomic(${JSON.stringify(at("run"))}, (temporary) => {
        writeFileSync(temporary + "/new", "");
        process.kill(process.pid, "SIGKILL");
        return new Promise((resolve) => setTimeout(resolve, 10_000));
      });`;
    const { signal } = spawnSync(process.execPath, [
      ...["--import", "tsx", "--input-type=module", "--eval", script],
    ]);
    expect(signal).toBe("SIGKILL");
    expect(readdirSync(at("run"))).toEqual(["old"]);
    expect(readdirSync(at())).toHaveLength(2);
    cleanTemporaries(at());
    expect(readdirSync(at())).toEqual(["run"]);
  });
});

describe("cleanTemporaries", () => {
  const here = hostname().replace(/[^A-Za-z0-9-]/g, "-");
  const dead = spawnSync(process.execPath, ["--version"]).pid;
  const name = (target: string, host: string, pid: number, kind: string) =>
    `.${target}.${host}.${pid}.0123456789ab.${kind}`;

  it("removes what a dead process left, and nothing else", () => {
    writeFileSync(at(name("model.safetensors", here, dead, "new")), "half");
    mkdirSync(at(name("run", here, dead, "new")));
    const kept = [name("x", here, process.pid, "new"), ".hidden", "model.safetensors"];
    for (const file of kept) writeFileSync(at(file), "");
    cleanTemporaries(at());
    expect(readdirSync(at()).sort()).toEqual(kept.sort());
  });

  it("gives a replaced folder its name back when the new one never came", () => {
    mkdirSync(at(name("run", here, dead, "old")));
    writeFileSync(at(name("run", here, dead, "old"), "adapter"), "");
    mkdirSync(at(name("run", here, dead, "new")));
    cleanTemporaries(at());
    expect(readdirSync(at())).toEqual(["run"]);
    expect(readdirSync(at("run"))).toEqual(["adapter"]);
  });

  it("removes a replaced folder when the new one stands in its place", () => {
    mkdirSync(at("run"));
    mkdirSync(at(name("run", here, dead, "old")));
    cleanTemporaries(at());
    expect(readdirSync(at())).toEqual(["run"]);
  });

  it("leaves another machine's temporaries alone for a day", () => {
    const foreign = name("x", "elsewhere", dead, "new");
    writeFileSync(at(foreign), "");
    cleanTemporaries(at());
    expect(readdirSync(at())).toEqual([foreign]);
    const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 3600;
    utimesSync(at(foreign), twoDaysAgo, twoDaysAgo);
    cleanTemporaries(at());
    expect(readdirSync(at())).toEqual([]);
  });
});
