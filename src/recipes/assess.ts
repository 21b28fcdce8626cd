import { instructionIds } from "../data/encode.js";
import { greedy, repetitionPenalty } from "../generation/samplers.js";
import { requireTokenizer, type Session } from "../runtime/session.js";
import { streamText } from "../runtime/text.js";
import { type Evaluation, evaluate } from "../training/evaluate.js";
import { evaluationBatches } from "../training/sources.js";
import type { FinetuneEvent } from "./finetuneEvents.js";
import type { Prepared } from "./prepare.js";

/** Held-out loss and the answers to the run's prompts. */
export async function assess(
  when: "before" | "after",
  session: Session,
  { config, model, dataset }: Prepared,
  onEvent: (event: FinetuneEvent) => void,
) {
  const tokenizer = requireTokenizer(model);
  let heldOut: Evaluation | undefined;
  if (dataset.validation !== undefined) {
    const batches = evaluationBatches(dataset.validation.examples, 4, tokenizer.padId);
    heldOut = await evaluate(
      await session.evaluation(config.sequenceLength),
      session.parameters,
      batches,
    );
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
