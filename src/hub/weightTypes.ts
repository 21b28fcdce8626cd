/**
 * What a model's weights are computed with: their files' own type, one of floating point, or blocks of 8 or 4 bits
 * (`src/formats/quantizedTensor.ts`).
 */
export const weightTypes = ["auto", "f32", "bf16", "int8", "int4"] as const;
export type WeightType = (typeof weightTypes)[number];
