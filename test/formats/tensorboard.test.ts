import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { FacetError } from "../../src/errors.js";
import { crc32c } from "../../src/formats/crc32c.js";
import { createEventWriter } from "../../src/formats/tensorboard.js";
import { type Event, EventSchema, type HistogramProto } from "../../src/formats/tensorboard_pb.js";
import { temporaryFolder } from "./temporaryFolder.js";

const at = temporaryFolder();

const ascii = (text: string) => new TextEncoder().encode(text);

/** The only event file of the folder. */
function eventFile(): string {
  const [name, ...others] = readdirSync(at());
  expect(others).toEqual([]);
  return at(name!);
}

/** Undoes TensorFlow's mask, as its reader does. */
function unmask(masked: number): number {
  const rotated = (masked - 0xa282ead8) >>> 0;
  return ((rotated >>> 17) | (rotated << 15)) >>> 0;
}

/** Parses TFRecords, checking both checksums of each. */
function records(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let i = 0; i < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(i));
    expect(unmask(bytes.readUInt32LE(i + 8))).toBe(crc32c(bytes.subarray(i, i + 8)));
    const data = bytes.subarray(i + 12, i + 12 + length);
    expect(unmask(bytes.readUInt32LE(i + 12 + length))).toBe(crc32c(data));
    found.push(data);
    i += length + 16;
  }
  return found;
}

function events(): Event[] {
  return records(readFileSync(eventFile())).map((data) => fromBinary(EventSchema, data));
}

describe("crc32c", () => {
  it.each([
    ["the check value of the catalogue", ascii("123456789"), 0xe3069283],
    ["nothing", new Uint8Array(0), 0],
    ["RFC 3720: 32 zeros", new Uint8Array(32), 0x8a9136aa],
    ["RFC 3720: 32 ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ["RFC 3720: 0 to 31", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ])("of %s", (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });
});

describe("createEventWriter", () => {
  it("names the file so that TensorBoard finds it, and another one for a second writer", () => {
    createEventWriter(at()).close();
    createEventWriter(at()).close();
    const names = readdirSync(at());
    expect(new Set(names).size).toBe(2);
    for (const name of names) {
      expect(name).toMatch(
        new RegExp(`^events\\.out\\.tfevents\\.\\d{10}\\..+\\.${process.pid}\\.\\d+$`),
      );
    }
  });

  it("writes histograms of 30 buckets of one width", () => {
    const writer = createEventWriter(at());
    writer.histogram("w", 7, Float32Array.of(-1, 0, 0.5, 0.5, 2));
    writer.histogram("same", 7, Float32Array.of(3, 3));
    writer.close();
    const histograms = events().flatMap(({ what }) =>
      what.case === "summary" ? [what.value.value[0]!.value.value as HistogramProto] : [],
    );
    const [spread, same] = histograms;
    expect(spread).toMatchObject({ min: -1, max: 2, num: 5, sum: 2, sumSquares: 5.5 });
    expect(spread!.bucketLimit).toHaveLength(30);
    expect(spread!.bucketLimit[9]).toBeCloseTo(0, 12);
    expect(spread!.bucketLimit[29]).toBe(2);
    expect(spread!.bucket.map((n, i) => [i, n]).filter(([, n]) => n! > 0)).toEqual([
      [0, 1],
      [10, 1],
      [15, 2],
      [29, 1],
    ]);
    expect(same!.bucket[0]).toBe(2);
  });

  it("begins with the version, then has one record per scalar", () => {
    const before = Date.now() / 1000;
    const writer = createEventWriter(at());
    writer.scalar("loss", 1, 2.5);
    writer.scalar("loss", 300, 0.1);
    writer.close();
    const [version, first, second, ...rest] = events();
    expect(rest).toEqual([]);
    expect(version?.what).toEqual({ case: "fileVersion", value: "brain.Event:2" });
    expect(first).toMatchObject({
      step: 1n,
      what: { case: "summary", value: { value: [{ tag: "loss", value: { value: 2.5 } }] } },
    });
    expect(second).toMatchObject({
      step: 300n,
      what: { value: { value: [{ value: { case: "simpleValue", value: Math.fround(0.1) } }] } },
    });
    expect(second!.wallTime).toBeGreaterThanOrEqual(before);
    expect(second!.wallTime).toBeLessThan(before + 60);
  });

  it("lays a scalar out in the bytes that TensorFlow's schema says", () => {
    const writer = createEventWriter(at());
    writer.scalar("a", 300, 1);
    writer.close();
    const [, data] = records(readFileSync(eventFile()));
    // wall_time is field 1, a double; step 2, a varint; summary 5; value 1; tag 1; simple_value 2, a float.
    const expected = "10ac02" + "2a0a" + "0a08" + "0a0161" + "150000803f";
    expect(data![0]).toBe(0x09);
    expect(data!.subarray(9).toString("hex")).toBe(expected);
  });

  it("lays a text out as the text plugin wants it", () => {
    const writer = createEventWriter(at());
    writer.text("t", 0, "é");
    writer.close();
    const [, data] = records(readFileSync(eventFile()));
    // tensor is field 8: dtype 7, shape {dim {size 1}}, string_val 8; metadata 9: plugin_data "text", data_class 2.
    const tensor = "420c" + "0807" + "12041202" + "0801" + "4202c3a9";
    const metadata = "4a0a" + "0a060a0474657874" + "2002";
    expect(data!.subarray(9).toString("hex")).toBe(`2a1f0a1d0a0174${tensor}${metadata}`);
  });

  it("has every record in the file as soon as the call returns", () => {
    const writer = createEventWriter(at());
    expect(events()).toHaveLength(1);
    writer.scalar("loss", 1, Number.NaN);
    expect(events()).toHaveLength(2);
    writer.text("config", 1, "x".repeat(100_000));
    expect(events()).toHaveLength(3);
    writer.close();
  });

  it.each([-1, 1.5, Number.NaN])("refuses the step %d and stays usable", (step) => {
    const writer = createEventWriter(at());
    expect(() => writer.scalar("loss", step, 1)).toThrow(FacetError);
    expect(() => writer.text("loss", step, "x")).toThrow(/step .* is not a whole number/);
    writer.scalar("loss", 0, 1);
    writer.close();
    expect(events()).toHaveLength(2);
  });

  it("takes back half a record when the disk lets no more in, so that later ones are readable", () => {
    const source = new URL("../../src/formats/tensorboard.ts", import.meta.url).href;
    const script = `
      import { createEventWriter } from ${JSON.stringify(source)};
      const writer = createEventWriter(${JSON.stringify(at())});
      try {
        writer.text("long", 1, "x".repeat(100_000));
      } catch (error) {
        console.log(error.name, error.message);
      }
      writer.scalar("loss", 2, 1);
      writer.close();`;
    // No file of this process may exceed 64 KiB.
    const { stdout } = spawnSync("bash", [
      "-c",
      'ulimit -f 64 && exec "$@"',
      "bash",
      process.execPath,
      "--import",
      "tsx",
      "--input-type=module",
      "--eval",
      script,
    ]);
    expect(stdout.toString()).toMatch(/^FacetError Cannot write .*EFBIG/);
    expect(events().map((event) => event.what.case)).toEqual(["fileVersion", "summary"]);
  });

  it("names a folder that does not exist, and a file that is closed", () => {
    expect(() => createEventWriter(at("none"))).toThrow(/Cannot write .*none/);
    const writer = createEventWriter(at());
    writer.close();
    expect(() => writer.scalar("loss", 1, 1)).toThrow(FacetError);
  });
});
