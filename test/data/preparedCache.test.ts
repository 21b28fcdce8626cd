import { createHash } from "node:crypto";
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { exampleStore } from "../../src/data/exampleStore.js";
import { examplePreparer } from "../../src/data/examples.js";
import { type DataIdentity, preparedCache } from "../../src/data/preparedCache.js";
import type { FreshData } from "../../src/data/preparedFile.js";
import { addTally, emptyTally, prepareReport } from "../../src/data/prepareReport.js";
import { parseTemplate } from "../../src/data/templates.js";
import { byteTokenizer } from "./byteTokenizer.js";
import { rowOf } from "./rowOf.js";
import { temporaryFolder } from "./temporaryFile.js";

const folder = join(temporaryFolder(), "kept");
const template = parseTemplate("{q}:{a}");
const options = { sequenceLength: 10, targets: "completion" } as const;
const spill = { folder, bytes: 2 ** 20 };

const rows = Array.from({ length: 50 }, (_, i) =>
  rowOf({ q: "q".repeat(i % 12), a: "a".repeat(i % 5), ...(i % 7 === 0 && { note: "x" }) }, i + 1),
);

/** Examples of rows, with the start, an odd number of them, on one side and the rest on the other. */
function prepared(split = 21): FreshData {
  const side = (part: typeof rows) => {
    const examples = exampleStore(spill);
    const preparer = examplePreparer(examples, {
      ...options,
      tokenizer: byteTokenizer(),
    });
    for (const row of part) preparer.add(row, template);
    return { examples, report: prepareReport(preparer.tally, examples), tally: preparer.tally };
  };
  return {
    rows: { total: 60, filteredOut: 10 },
    counts: [2, 3],
    train: side(rows.slice(0, split)),
    validation: split < rows.length ? side(rows.slice(split)) : undefined,
  };
}

const identity: DataIdentity = {
  files: ["some/rows.jsonl"],
  sha256: "00",
  options,
  templates: [template],
  vocabulary: Uint8Array.of(1, 2, 3),
};
const cache = preparedCache(folder);
const kept = () => join(folder, readdirSync(folder)[0]!);

beforeEach(() => rmSync(folder, { recursive: true, force: true }));

describe("kept data", () => {
  it.each([0, 2 ** 20])("are as they were, with %d bytes of memory", (memory) => {
    const data = prepared();
    cache.write(identity, data);
    const read = cache.read(identity, memory)!;
    expect(read.rows).toEqual(data.rows);
    expect(read.counts).toEqual(data.counts);
    for (const side of ["train", "validation"] as const) {
      expect(read[side]!.report).toEqual(data[side]!.report);
      expect([...read[side]!.examples]).toEqual([...data[side]!.examples]);
      expect(read[side]!.examples.at(-1)).toBeUndefined();
    }
  });

  it("need no second side", () => {
    cache.write(identity, prepared(rows.length));
    expect(cache.read(identity, 0)!.validation).toBeUndefined();
  });

  it("are those of the same files, options, template and tokenizer", () => {
    cache.write(identity, prepared());
    const others: Partial<DataIdentity>[] = [
      { files: ["some/rows.csv"] },
      { sha256: "01" },
      { options: { ...options, sequenceLength: 11 } },
      { options: { ...options, targets: "all" } },
      { options: { ...options, filters: ["no-context"] } },
      { options: { ...options, columns: ["q=p"] } },
      { options: { ...options, overlong: "drop" } },
      { options: { ...options, validationSplit: 0.1 } },
      { templates: [parseTemplate("{q}: {a}")] },
      { vocabulary: Uint8Array.of(1, 2, 4) },
    ];
    for (const other of others) {
      expect(cache.read({ ...identity, ...other }, 0), JSON.stringify(other)).toBeUndefined();
    }
    expect(cache.read(identity, 0)).toBeDefined();
  });

  it("are not believed when they are damaged", () => {
    cache.write(identity, prepared());
    const whole = readFileSync(kept());
    for (const at of [0, 10, whole.length >> 1, whole.length - 1]) {
      const damaged = Buffer.from(whole);
      damaged[at]! ^= 4;
      writeFileSync(kept(), damaged);
      expect(cache.read(identity, 0)).toBeUndefined();
    }
    for (const length of [0, 3, 30, whole.length - 4]) {
      writeFileSync(kept(), whole);
      truncateSync(kept(), length);
      expect(cache.read(identity, 0)).toBeUndefined();
    }
  });

  it("are left out where the folder cannot be written", () => {
    writeFileSync(folder, "a file");
    cache.write(identity, prepared());
    expect(cache.read(identity, 0)).toBeUndefined();
  });

  it("come to be others only with another version", () => {
    // If this fails because rows become other examples, count VERSION in preparedCache.ts up, too.
    cache.write(identity, prepared());
    const bytes = readFileSync(kept());
    expect(createHash("sha256").update(bytes.subarray(0, -32)).digest("hex")).toMatchInlineSnapshot(
      `"f038b0004e0ae5a6c6674acb055d221e0923844320701dc4f7734e98bcfea6ea"`,
    );
  });
});

describe("counts of parts", () => {
  it("add up to those of the whole", () => {
    const { train, validation } = prepared() as unknown as Record<
      "train" | "validation",
      { tally: ReturnType<typeof emptyTally> }
    >;
    const sum = emptyTally();
    addTally(sum, train.tally);
    addTally(sum, validation.tally);
    const whole = prepared(rows.length).train as unknown as { tally: typeof sum };
    expect(sum).toEqual(whole.tally);
  });
});
