import { z } from "zod";
import { adapterStarts } from "../lora/config.js";
import { allLinear } from "../lora/settings.js";
import { targets } from "../models/gemma/weights.js";
import { wholeKinds } from "./wholeTensors.js";

/** What a fine-tuning run trains. */
export const methodFields = {
  method: z
    .enum(["lora", "full"])
    .default("lora")
    .describe("train an adapter, or all weights of the model"),
  alsoTrain: z
    .array(z.enum(wholeKinds))
    .default([])
    .describe("tensors of the model to train beside the adapter"),
  neftune: z
    .number()
    .positive()
    .optional()
    .describe("size of the noise on embedded tokens in training (NEFTune's alpha, such as 5)"),
};

/** The adapter of a fine-tuning run. */
export const loraFields = {
  rank: z.int().positive().default(4).describe("LoRA rank"),
  alpha: z
    .number()
    .positive()
    .optional()
    .describe("LoRA alpha; the update is scaled by alpha / rank (default: the rank)"),
  rankPattern: z
    .array(z.string())
    .default([])
    .describe("another rank for layers whose path ends in a regular expression, as in q_proj=8"),
  alphaPattern: z
    .array(z.string())
    .default([])
    .describe("another alpha for such layers, as in layers.0.mlp.up_proj=16"),
  rslora: z
    .boolean()
    .default(false)
    .describe("scale the update by alpha / √rank (rank-stabilized LoRA)"),
  modules: z
    .array(z.enum([...targets, allLinear]))
    .min(1)
    .default(["q_proj", "v_proj"])
    .describe("layers that get an adapter"),
  layers: z
    .string()
    .optional()
    .describe("numbers of the blocks that get an adapter, as in 0-3,8 (default: all)"),
  dora: z
    .boolean()
    .default(false)
    .describe("also train the length of each row of the weights (DoRA); needs --layout standard"),
  start: z
    .enum(adapterStarts)
    .default("random")
    .describe(
      "what the adapter starts from; pissa: the weights' largest singular values, with --layout standard",
    ),
  layout: z
    .enum(["keras", "standard"])
    .default("keras")
    .describe(
      "LoRA variables as Keras has them (one A per head, a shared B), or one A and B per layer",
    ),
  dropout: z
    .number()
    .min(0)
    .lt(1)
    .default(0)
    .describe("probability of dropping an element of an adapter's input"),
};
