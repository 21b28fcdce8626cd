import type { GemmaConfig } from "./config.js";

/** Where checkpoints have the text model: alone, and in a multimodal one, saved by older and newer Transformers. */
const textPaths = ["model.language_model.", "language_model.model.", "model."];

/** What only looks at images. */
const visionPaths = /^(model\.)?(vision_tower|multi_modal_projector)\./;

/**
 * A checkpoint's tensors with the text model under the path that its config says. The vision tower
 * and projector of a multimodal model are left out; any other tensor keeps its name, so that a
 * strict binding refuses it.
 */
export function textTensors<T>(
  config: GemmaConfig,
  stored: ReadonlyMap<string, T>,
): ReadonlyMap<string, T> {
  if (config.textPath === undefined) return stored;
  const renamed = new Map<string, T>();
  for (const [name, tensor] of stored) {
    if (visionPaths.test(name)) continue;
    const path = textPaths.find((prefix) => name.startsWith(prefix));
    const rest = path === undefined ? undefined : name.slice(path.length);
    renamed.set(rest === undefined ? name : `${config.textPath}.${rest}`, tensor);
  }
  return renamed;
}
