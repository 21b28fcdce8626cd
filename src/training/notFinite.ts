import type { Slot } from "../engines/parameters.js";

/** The variables of a buffer that are not finite everywhere, in the order of the forward pass. */
export const notFinite = (slots: readonly Slot[], buffer: Float32Array): string[] =>
  slots
    .filter(({ offset, length }) => {
      for (let i = offset; i < offset + length; i++) if (!Number.isFinite(buffer[i]!)) return true;
      return false;
    })
    .map(({ name }) => name);
