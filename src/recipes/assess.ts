import { instructionIds } from "../data/encode.js";
import { greedy, repetitionPenalty } from "../generation/samplers.js";
import { requireTokenizer, type Session } from "../runtime/session.js";
import { streamText } from "../runtime/text.js";
import type { FinetuneEvent } from "./finetuneEvents.js";
import type { RunObjective } from "./objective.js";
import type { Prepared } from "./prepare.js";

/** Held-out loss and the answers to the run's prompts. */
export async function assess(
  when: "before" | "after",
  session: Session,
  { config, model, dataset }: Prepared,
  objective: RunObjective,
  onEvent: (event: FinetuneEvent) => void,
) {
  const tokenizer = requireTokenizer(model);
  const heldOut = await objective.assess(session);
  if (heldOut !== undefined) {
    onEvent({ kind: "evaluation", when, result: heldOut });
    // Every open program maps the weights.
    await session.close();
  }
  const samples: { prompt: string; text: string }[] = [];
  for (const prompt of config.prompts) {
    const ids = instructionIds(dataset.template, prompt, tokenizer);
    let text = "";
    const sampler = repetitionPenalty(greedy(), config.repetitionPenalty);
    const options = { maxLength: config.sampleLength, sampler, seed: config.seed };
    for await (const piece of streamText(session, ids, options)) text += piece;
    samples.push({ prompt, text: text.trim() });
    onEvent({ kind: "sample", when, prompt, text: text.trim() });
  }
  return { heldOut, samples };
}
