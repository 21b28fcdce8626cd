import { describe, expect, test } from "vitest";
import type { Engine } from "../../src/engines/engine.js";
import { greedy } from "../../src/generation/samplers.js";
import { openModel } from "../../src/hub/openModel.js";
import type { Adapter } from "../../src/lora/adapter.js";
import { adapterFromPeft } from "../../src/lora/peft.js";
import { shareShape } from "../../src/lora/shareShape.js";
import { openSession, type Session } from "../../src/runtime/session.js";
import { generateIds } from "../../src/runtime/text.js";
import { loraMatrices } from "../support/loraMatrices.js";
import { tinyModelFolder } from "../support/modelFolder.js";
import * as tiny from "../support/tinyGemma.js";

const onKeys = adapterFromPeft(
  new Map(
    tiny.modules
      .filter(({ target }) => target === "k_proj")
      .map(({ path, inFeatures, outFeatures }, seed) => [
        path,
        loraMatrices({ rank: 7, inFeatures, outFeatures, scale: 2 }, seed),
      ]),
  ),
  tiny.modules,
  "keys",
);
const dora: Adapter = {
  ...onKeys,
  magnitudes: new Map(onKeys.modules.map((m) => [m.path, new Float32Array(m.outFeatures).fill(2)])),
};

const ids = { data: Int32Array.of(2, 17, 300, 41, 5, 99, 7), shape: [1, 7] };
const positions = { data: Int32Array.from(ids.data.keys()), shape: [1, 7] };
const rows = { data: positions.data, shape: [7] };

async function answers(session: Session): Promise<{ logits: unknown; tokens: unknown }> {
  const executable = await session.logits(7);
  const { logits } = await executable.run({ ids, positions, rows, ...session.parameters });
  const tokens: number[] = [];
  const options = { maxLength: 12, sampler: greedy(), stopIds: [] };
  for await (const [id] of generateIds(session, [[2, 17, 300]], options)) tokens.push(id!);
  return { logits: logits!.data, tokens };
}

async function alone(adapter?: Adapter) {
  const session = openSession(await openModel(tinyModelFolder()), tiny.engine, adapter);
  const result = await answers(session);
  await session.close();
  return result;
}

describe("several adapters on one model", () => {
  test.each([
    ["plain ones", onKeys],
    ["a plain one and one of DoRA", dora],
  ])("%s: each gives exactly what it gives alone, from the same programs", async (_, second) => {
    let compiled = 0;
    const counting: Engine = {
      ...tiny.engine,
      compile(program) {
        compiled++;
        return tiny.engine.compile(program);
      },
    };
    const set = [tiny.adapter("qv"), tiny.adapter("all"), second];
    const { adapters, none } = shareShape(set);
    const [first, ...others] = adapters as [Adapter, ...Adapter[]];
    const model = await openModel(tinyModelFolder());
    const session = openSession(model, counting, first, [...others, none]);
    expect(session.adapter).toBe(first);
    for (const [i, adapter] of [...adapters, none, first].entries()) {
      await session.use(adapter);
      expect(session.adapter).toBe(adapter);
      expect(await answers(session), `adapter ${i}`).toEqual(await alone(set[i % 4]));
    }
    // Logits, generation, and once the gains of DoRA.
    expect(compiled).toBe(second === dora ? 3 : 2);
    await session.close();
  });

  test("must have one shape, and be known to the session", async () => {
    const model = await openModel(tinyModelFolder());
    const [qv, all] = [tiny.adapter("qv"), tiny.adapter("all")];
    expect(() => openSession(model, tiny.engine, qv, [all])).toThrow(/must have one shape/);
    await expect(openSession(model, tiny.engine, qv).use(all)).rejects.toThrow(/not given/);
  });
});
