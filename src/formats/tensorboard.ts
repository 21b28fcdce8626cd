import { closeSync, fsyncSync, ftruncateSync, openSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { FacetError } from "../errors.js";
import { writeFully } from "./atomicFile.js";
import { crc32c } from "./crc32c.js";
import {
  EventSchema,
  type HistogramProtoSchema,
  type Summary_ValueSchema,
} from "./tensorboard_pb.js";

/** TensorFlow's numbers for what a text summary says of itself (types.proto, summary.proto). */
const DT_STRING = 7;
const DATA_CLASS_TENSOR = 2;

/** An open TensorBoard event file. Every call writes one whole record, which TensorBoard sees at once. */
export interface EventWriter {
  /** Adds a point to the curve `tag`; `step` is a whole number from 0 on. */
  scalar(tag: string, step: number, value: number): void;
  /** Adds Markdown to the text panel `tag`. */
  text(tag: string, step: number, text: string): void;
  /** Adds the distribution of finite `values` to the panel `tag`, in 30 buckets of one width. */
  histogram(tag: string, step: number, values: Float32Array): void;
  /** Puts the file on the disk and closes it. */
  close(): void;
}

/** Tells apart the files that one process opens within a second. */
let filesOpened = 0;

/**
 * Creates `events.out.tfevents.<unix seconds>.<host>.<pid>.<n>` in an existing folder; TensorBoard joins
 * the files of a folder, so a resumed run opens another one.
 * Throws FacetError when the file cannot be made, or a record not be written (the disk is full); the records
 * before it stay readable.
 */
export function createEventWriter(folder: string): EventWriter {
  const seconds = Math.floor(Date.now() / 1000);
  const name = `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${filesOpened++}`;
  const path = join(folder, name);
  const file = attempt(path, () => openSync(path, "ax"));
  let length = 0;

  function write(step: number, what: MessageInitShape<typeof EventSchema>["what"] & {}): void {
    if (!Number.isSafeInteger(step) || step < 0) {
      throw new FacetError(`Cannot write ${path}: step ${step} is not a whole number from 0 on.`);
    }
    const event = create(EventSchema, { wallTime: Date.now() / 1000, step: BigInt(step), what });
    const record = frame(toBinary(EventSchema, event));
    attempt(path, () => {
      try {
        writeFully(file, record);
      } catch (error) {
        // Half a record would make all later ones unreadable.
        ftruncateSync(file, length);
        throw error;
      }
    });
    length += record.length;
  }

  function summary(step: number, value: MessageInitShape<typeof Summary_ValueSchema>): void {
    write(step, { case: "summary", value: { value: [value] } });
  }

  write(0, { case: "fileVersion", value: "brain.Event:2" });
  return {
    scalar: (tag, step, value) => summary(step, { tag, value: { case: "simpleValue", value } }),
    text: (tag, step, text) =>
      summary(step, {
        tag,
        metadata: { pluginData: { pluginName: "text" }, dataClass: DATA_CLASS_TENSOR },
        value: {
          case: "tensor",
          value: {
            dtype: DT_STRING,
            tensorShape: { dim: [{ size: 1n }] },
            stringVal: [new TextEncoder().encode(text)],
          },
        },
      }),
    histogram: (tag, step, values) =>
      summary(step, { tag, value: { case: "histo", value: histogramOf(values) } }),
    close: () =>
      attempt(path, () => {
        fsyncSync(file);
        closeSync(file);
      }),
  };
}

const bucketCount = 30;

function histogramOf(values: Float32Array): MessageInitShape<typeof HistogramProtoSchema> {
  let [min, max, sum, sumSquares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    sumSquares += value * value;
  }
  const width = (max - min) / bucketCount;
  const bucket = new Array<number>(bucketCount).fill(0);
  for (const value of values) {
    const place = width === 0 ? 0 : Math.floor((value - min) / width);
    bucket[Math.min(place, bucketCount - 1)]! += 1;
  }
  const bucketLimit = bucket.map((_, i) => (i === bucketCount - 1 ? max : min + (i + 1) * width));
  return { min, max, num: values.length, sum, sumSquares, bucketLimit, bucket };
}

/** A TFRecord: length, its checksum, the data, theirs. */
function frame(data: Uint8Array): Uint8Array {
  const record = new Uint8Array(data.length + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

/** TensorFlow's mask (crc32c.h), against checksums of data that hold checksums. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw new FacetError(`Cannot write ${path}: ${(error as Error).message}.`, { cause: error });
  }
}
