import type { OpenModel } from "../hub/openModel.js";

/** What has to be said of weights that are made from a model which was quantised: none for others. */
export function quantisedBase(
  { name, quantised }: Pick<OpenModel, "name" | "quantised">,
  use: "merge" | "convert",
): string[] {
  if (quantised.length === 0) return [];
  const lost = `The weights of ${name} are quantised (${quantised.join(", ")}), and what they lost then does not come back`;
  if (use === "convert") {
    return [
      `${lost}: the result holds them as they are now. Convert the unquantised model instead.`,
    ];
  }
  return [
    `${lost}: the adapter is merged into what is left of them. Give the unquantised model instead; or export the adapter alone, and use it beside the quantised model.`,
  ];
}
