import type { GemmaConfig } from "./config.js";

/** Where checkpoints have the text model: alone, and in a multimodal one, saved by older and newer Transformers. */
const textPaths = ["model.language_model.", "language_model.model.", "model."];

/** What a name of the text model says after the path to it, for example `layers.0.mlp.up_proj`; undefined for other names. */
export function withinTextModel(name: string): string | undefined {
  const path = textPaths.find((prefix) => name.startsWith(prefix));
  return path === undefined ? undefined : name.slice(path.length);
}

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
    const rest = withinTextModel(name);
    renamed.set(rest === undefined ? name : `${config.textPath}.${rest}`, tensor);
  }
  return renamed;
}
