import { FacetError } from "../errors.js";
import type { DownloadHooks } from "../hub/download.js";
import type { ClassifierScore } from "../recipes/classify.js";
import type { ClassifyHooks } from "../recipes/classifyData.js";
import { facts } from "./layout.js";
import { count, notice, outputWidth, percent, print, printable } from "./output.js";
import { preparedNotice } from "./preparedData.js";
import { openProgress } from "./progress.js";

/** Says what became of the rows, and shows a bar while they are classified. */
export function classifierHooks(download: DownloadHooks): ClassifyHooks {
  let progress: ReturnType<typeof openProgress> | undefined;
  return {
    download,
    onData: (dataset) => preparedNotice(dataset.train.report).forEach(notice),
    onBatch(done, total) {
      progress ??= openProgress("Classifying");
      progress.update({ done, total, details: ["rows"] });
      if (done === total) progress.stop();
    },
  };
}

/** Prints how a classifier does, class by class. */
export function printClassifierScore({ loss, accuracy, examples, classes }: ClassifierScore): void {
  const share = (part: number, whole: number) => (whole === 0 ? "–" : percent(part / whole));
  const lines: [string, string][] = [
    ["Accuracy", percent(accuracy)],
    ["Loss", `${loss.toFixed(4)} nats per row`],
    ["Rows", count(examples)],
    ...classes.map(({ label, rows, predicted, correct }): [string, string] => [
      printable(label),
      `${count(rows)} rows, ${share(correct, rows)} of them found, ${share(correct, predicted)} of the predictions right`,
    ]),
  ];
  print(facts(lines, outputWidth()));
}

/** Throws a FacetError for options of `facet evaluate` that a classifier has no use for. */
export function requireClassifierOptions(options: {
  readonly task: readonly string[];
  readonly targets?: string | undefined;
  readonly report?: string | undefined;
}): void {
  const given = {
    "--task": options.task.length > 0,
    "--targets": options.targets !== undefined,
    "--report": options.report !== undefined,
  };
  const [found] = Object.entries(given).find(([, is]) => is) ?? [];
  if (found !== undefined) {
    throw new FacetError(`The adapter is a classifier, for which ${found} has no meaning.`);
  }
}
