import type { Executable, HostTensor } from "../engines/engine.js";
import { FacetError } from "../errors.js";
import { createRandom } from "../random.js";
import { type Cache, type CacheShape, openCache } from "./cache.js";
import { openGuesser } from "./promptLookup.js";
import type { Sampler } from "./samplers.js";

/** A compiled generation program and what its caller has to know about the model. */
export interface Decoder extends CacheShape {
  readonly program: Executable;
  readonly vocabularySize: number;
  /** Trainable inputs of the program, if it has any. */
  readonly parameters: Readonly<Record<string, HostTensor>>;
}

export interface GenerateOptions {
  /** Longest result in tokens, prompt included. */
  readonly maxLength: number;
  readonly sampler: Sampler;
  /** Ids that end a row; they are yielded too. */
  readonly stopIds: readonly number[];
  readonly seed?: number;
  /** Guess text that repeats (default). Without, every token takes a step, as the bench measures it. */
  readonly guess?: boolean;
}

/** A key position that no query reaches: padding on the left of a shorter prompt, and places without a token. */
const unreachable = 0x7fffffff;

/**
 * Generates token by token for every prompt (ids, `<bos>` included). Yields, for each, the new id of
 * each row, undefined once the row has ended. Every row draws the same random numbers as it would
 * alone, so a result does not depend on the other rows of its batch. For a single prompt, tokens that
 * repeat earlier text are guessed and checked several in a step (`promptLookup.ts`); what is generated
 * is the same.
 */
export async function* generateTokens(
  decoder: Decoder,
  prompts: readonly (readonly number[])[],
  options: GenerateOptions,
): AsyncGenerator<(number | undefined)[]> {
  if (prompts.some((prompt) => prompt.length === 0))
    throw new FacetError("A prompt has no tokens.");
  const batch = prompts.length;
  const width = Math.max(...prompts.map((prompt) => prompt.length));
  const padding = prompts.map((prompt) => width - prompt.length);
  const previous = prompts.map((prompt) => [...prompt]);
  const random = prompts.map(() => createRandom({ seed: options.seed ?? 0, stream: "sampling" }));
  const running = prompts.map((prompt) => prompt.length < options.maxLength);
  let next = prompts.map((prompt, row) => [...new Array<number>(padding[row]!).fill(0), ...prompt]);
  const cache = openCache(decoder, batch);
  const guesser = openGuesser();
  let guesses: number[] = [];

  while (running.some(Boolean)) {
    const outputs = await decoder.program.run({
      ...stepInputs(next, cache, padding, guesses.length + 1),
      ...cache.inputs(),
      ...decoder.parameters,
    });
    cache.append(outputs);
    const logits = rowsOf(outputs.logits!.data as Float32Array, decoder.vocabularySize);
    let ids: (number | undefined)[] = [];
    let right = 0;
    for (let place = 0; place <= guesses.length; place++) {
      ids = prompts.map((_, row) =>
        running[row]
          ? options.sampler(
              logits(row * (guesses.length + 1) + place),
              random[row]!,
              previous[row]!,
            )
          : undefined,
      );
      ids.forEach((id, row) => {
        if (id === undefined) return;
        previous[row]!.push(id);
        running[row] = !options.stopIds.includes(id) && previous[row]!.length < options.maxLength;
      });
      yield ids;
      // What follows a wrong guess is of another text.
      if (place === guesses.length || ids[0] !== guesses[place] || !running[0]) break;
      right++;
    }
    // The engine blocks while it runs: let signals through between steps.
    await new Promise(setImmediate);
    cache.drop(guesses.length - right);
    guesser.learn(guesses.length, right);
    const room = options.maxLength - previous[0]!.length - 1;
    guesses = batch === 1 && options.guess !== false ? guesser.guess(previous[0]!, room) : [];
    next = ids.map((id) => [id ?? 0, ...guesses]);
  }
}

/** Row i of a matrix of that width. */
const rowsOf = (data: Float32Array, width: number) => (i: number) =>
  data.subarray(i * width, (i + 1) * width);

/** Inputs for rows of equally many new ids after those that are cached; the last `heads` of each get logits. */
function stepInputs(
  next: readonly (readonly number[])[],
  { length: cached, capacity }: Cache,
  padding: readonly number[],
  heads: number,
): Record<string, HostTensor> {
  const [batch, length] = [next.length, next[0]!.length];
  const shape = [batch, length];
  const position = (row: number, place: number) => place - padding[row]!;
  const grid = (columns: number, value: (row: number, column: number) => number) =>
    Int32Array.from({ length: batch * columns }, (_, i) =>
      value(Math.floor(i / columns), i % columns),
    );
  return {
    ids: { data: Int32Array.from(next.flat()), shape },
    positions: { data: grid(length, (b, t) => Math.max(0, position(b, cached + t))), shape },
    keyPositions: {
      data: grid(capacity + length, (b, s) => {
        if (s >= cached && s < capacity) return unreachable;
        const place = s < capacity ? s : cached + s - capacity;
        return place < padding[b]! ? unreachable : position(b, place);
      }),
      shape: [batch, capacity + length],
    },
    rows: {
      data: Int32Array.from(
        { length: batch * heads },
        (_, i) => (Math.floor(i / heads) + 1) * length - heads + (i % heads),
      ),
      shape: [batch * heads],
    },
  };
}
