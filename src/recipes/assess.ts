import { instructionIds } from "../data/encode.js";
import { FacetError } from "../errors.js";
import { greedy, repetitionPenalty } from "../generation/samplers.js";
import { requireTokenizer, type Session } from "../runtime/session.js";
import { streamText } from "../runtime/text.js";
import type { Assessment } from "../training/evaluate.js";
import type { FinetuneEvent } from "./finetuneEvents.js";
import type { RunObjective } from "./objective.js";
import type { Prepared } from "./prepare.js";

/** Held-out loss and the answers to the run's prompts. */
export async function assess(
  when: "before" | "after",
  step: number,
  session: Session,
  prepared: Prepared,
  objective: RunObjective,
  tell: (event: FinetuneEvent) => Promise<void>,
) {
  const heldOut = await objective.assess(session);
  if (heldOut !== undefined) {
    await tell({ kind: "evaluation", when, step, result: heldOut });
    // Every open program maps the weights.
    await session.close();
  }
  const samples: { prompt: string; text: string }[] = [];
  for (const prompt of prepared.config.prompts) {
    const text = await answer(session, prepared, prompt);
    samples.push({ prompt, text });
    await tell({ kind: "sample", when, step, prompt, text });
  }
  return { heldOut, samples };
}

/** What was measured on the held-out rows during training. Throws a FacetError when the loss is not finite. */
export function requireFinite(result: Assessment | undefined): Assessment {
  if (result !== undefined && Number.isFinite(result.loss)) return result;
  throw new FacetError(
    "The loss on the held-out rows is not a finite number. Start again with a lower learning rate or with gradient clipping.",
  );
}

/** The model's answer to one of the run's prompts. */
export async function answer(
  session: Session,
  { config, model, dataset }: Prepared,
  prompt: string,
): Promise<string> {
  const ids = instructionIds(dataset.template, prompt, requireTokenizer(model));
  const sampler = repetitionPenalty(greedy(), config.repetitionPenalty);
  const options = { maxLength: config.sampleLength, sampler, seed: config.seed };
  let text = "";
  for await (const piece of streamText(session, ids, options)) text += piece;
  return text.trim();
}
