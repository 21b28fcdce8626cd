import { type Example, frameExample } from "../data/examples.js";
import { FacetError } from "../errors.js";
import { encodeSegments } from "../tokenizers/segments.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";

/** What Keras's preprocessor returns; arrays are row-major `[rows, sequenceLength]`. */
export interface Preprocessed {
  readonly x: { readonly tokenIds: Int32Array; readonly paddingMask: Uint8Array };
  readonly y: Int32Array;
  readonly sampleWeight: Uint8Array;
}

/** Text to training arrays, by KerasHub's rule (keras_hub/src/models/causal_lm_preprocessor.py). */
export class GemmaCausalLMPreprocessor {
  /** Length of x and y, in tokens. */
  #sequenceLength: number;

  constructor(
    readonly tokenizer: Tokenizer,
    sequenceLength = 1024,
    private readonly maxLength = Number.POSITIVE_INFINITY,
  ) {
    this.#sequenceLength = Math.min(sequenceLength, maxLength);
  }

  get sequenceLength(): number {
    return this.#sequenceLength;
  }

  set sequenceLength(length: number) {
    if (!Number.isInteger(length) || length < 2 || length > this.maxLength) {
      throw new FacetError(
        `sequenceLength must be a whole number from 2 to ${this.maxLength}, not ${length}.`,
      );
    }
    this.#sequenceLength = length;
  }

  /** `[bos] + ids[: L − 1] + [eos]`, unpadded. */
  example(text: string, line: number): Example {
    const encoded = encodeSegments([{ text, target: true }], this.tokenizer);
    return frameExample(encoded, this.tokenizer, this.#sequenceLength, line);
  }

  /** The arrays that Keras makes: x = ids[:−1], y = ids[1:], weights = mask[1:], padded on the right. */
  call(texts: readonly string[]): Preprocessed {
    const length = this.#sequenceLength;
    const size = texts.length * length;
    const x = {
      tokenIds: new Int32Array(size).fill(this.tokenizer.padId),
      paddingMask: new Uint8Array(size),
    };
    const y = new Int32Array(size).fill(this.tokenizer.padId);
    const sampleWeight = new Uint8Array(size);
    texts.forEach((text, row) => {
      const { ids } = this.example(text, row + 1);
      const start = row * length;
      ids.subarray(0, length).forEach((id, i) => {
        x.tokenIds[start + i] = id;
        x.paddingMask[start + i] = 1;
      });
      ids.subarray(1, length + 1).forEach((id, i) => {
        y[start + i] = id;
        sampleWeight[start + i] = 1;
      });
    });
    return { x, y, sampleWeight };
  }
}
