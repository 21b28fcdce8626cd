import { describe, expect, it } from "vitest";
import { duplicateFinder } from "../../src/data/duplicates.js";
import { minHash, similarity } from "../../src/data/minHash.js";
import { createRandom } from "../../src/random.js";

const words = (count: number, seed: number) => {
  const random = createRandom({ seed, stream: "order" });
  return Array.from({ length: count }, () => `w${random.below(5000)}`);
};
const shingles = (list: readonly string[]) =>
  new Set(list.slice(2).map((_, i) => list.slice(i, i + 3).join(" ")));
const jaccard = (a: Set<string>, b: Set<string>) => {
  const common = [...a].filter((one) => b.has(one)).length;
  return common / (a.size + b.size - common);
};
const at = (line: number, file = "a.jsonl") => ({ file, line });

describe("minHash", () => {
  it("estimates the share of common runs of three words", () => {
    const pairs = 600;
    let [sum, squares, expected] = [0, 0, 0];
    for (let seed = 0; seed < pairs; seed++) {
      const one = words(120, seed);
      const other = [...one.slice(0, 20 + 100 * ((seed % 60) / 60)), ...words(60, seed + 1000)];
      const truth = jaccard(shingles(one), shingles(other));
      const error = similarity(minHash(one.join(" ")), minHash(other.join(" "))) - truth;
      sum += error;
      squares += error * error;
      expected += (truth * (1 - truth)) / 64;
    }
    // Four deviations of a mean and of a deviation over so many pairs.
    expect(Math.abs(sum / pairs)).toBeLessThan(
      (4 * Math.sqrt(expected / pairs)) / Math.sqrt(pairs),
    );
    expect(Math.abs(Math.sqrt(squares / expected) - 1)).toBeLessThan(4 / Math.sqrt(2 * pairs));
  });

  it("does not see case, white space and compatibility forms", () => {
    expect(similarity(minHash("ﬁne  Day\nfor a walk"), minHash("fine day for a WALK"))).toBe(1);
  });

  it("sees signs, numbers and order", () => {
    expect(similarity(minHash("what is 12 + 5?"), minHash("what is 12 - 5?"))).toBeLessThan(0.8);
    expect(similarity(minHash("a b c d e f"), minHash("f e d c b a"))).toBe(0);
    expect(similarity(minHash(""), minHash("x"))).toBe(0);
  });
});

describe("duplicateFinder", () => {
  const long = words(100, 1).join(" ");
  const changed = `${long} and more`;

  it("finds equal texts, nearly equal ones, and says on which sides they are", () => {
    const finder = duplicateFinder();
    expect(finder.add(long, at(1))).toBeUndefined();
    expect(finder.add(words(100, 2).join(" "), at(2))).toBeUndefined();
    expect(finder.add(long.toUpperCase(), at(3))).toEqual({
      ...{ row: at(3), of: at(1), similarity: 1, leak: false },
    });
    const near = finder.add(changed, at(1, "b.jsonl"), "validation");
    expect(near).toMatchObject({ row: at(1, "b.jsonl"), of: at(1), leak: true });
    expect(near!.similarity).toBeGreaterThan(0.9);
    expect(near!.similarity).toBeLessThanOrEqual(1);
  });

  it("finds nearly all pairs at the limit, and no random ones", () => {
    const finder = duplicateFinder();
    let found = 0;
    for (let seed = 0; seed < 100; seed++) {
      const text = words(100, 2000 + seed);
      expect(finder.add(text.join(" "), at(seed))).toBeUndefined();
      // Of 98 runs 3 are changed, 95 are common: 0.94.
      text[50] = "other";
      found += finder.add(text.join(" "), at(1000 + seed)) === undefined ? 0 : 1;
    }
    expect(found).toBeGreaterThanOrEqual(99);
  });

  it("takes short texts as a whole", () => {
    const finder = duplicateFinder();
    expect(finder.add("yes", at(1))).toBeUndefined();
    expect(finder.add("no", at(2))).toBeUndefined();
    expect(finder.add("Yes", at(3))?.of).toEqual(at(1));
  });

  it("is not slowed down by a thousand texts that begin alike", () => {
    const finder = duplicateFinder();
    const began = performance.now();
    for (let i = 0; i < 1000; i++) finder.add(`${long} ${words(30, i + 5000).join(" ")}`, at(i));
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
