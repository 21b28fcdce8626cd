import { vi } from "vitest";
import type { LoweringContext } from "../../src/engines/onnx/lowering.js";
import { lowerings } from "../../src/engines/onnx/operators.js";
import { elementType } from "../../src/engines/onnx/values.js";

/**
 * Runs `body` with the engine's GELU rounded as llama.cpp's is on a CPU: it looks GELU up in a table of 2^16 values,
 * so its input and its result have half precision (`ggml_vec_gelu_f32` in ggml/src/ggml-cpu/vec.h).
 */
export async function withHalfGelu<T>(body: () => Promise<T>): Promise<T> {
  const lowering = vi
    .spyOn(lowerings as { gelu: (context: LoweringContext) => void }, "gelu")
    .mockImplementation(({ inputs, outputs, model }) => {
      const half = model.emit("Cast", [inputs[0]!], { to: elementType.float16 });
      const x = model.emit("Cast", [half], { to: elementType.float32 });
      const y = model.emit("Gelu", [x], { approximate: "tanh" });
      const rounded = model.emit("Cast", [y], { to: elementType.float16 });
      model.emit("Cast", [rounded], { to: elementType.float32 }, { outputs });
    });
  try {
    return await body();
  } finally {
    lowering.mockRestore();
  }
}
