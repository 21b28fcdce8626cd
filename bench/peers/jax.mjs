// The training step of workload S by jax-js on its WebAssembly backend; ../workloads/peerStep.ts runs it.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { defaultDevice, init, nn, numpy as np, valueAndGrad } from "@jax-js/jax";

const main = createRequire(import.meta.url).resolve("@jax-js/jax");
export const { version } = JSON.parse(
  readFileSync(join(dirname(main), "..", "package.json"), "utf8"),
);

/** Gives a function from parameters, in the model's order, to the loss and its gradients. Arrays are used up unless `.ref`. */
export async function openStep(model) {
  await init("wasm");
  defaultDevice("wasm");
  const { batch, length, heads, headDim, hidden, vocabulary, scale, ids, targets, cos, sin } =
    model;
  const tensor = ({ data, shape }) => np.array(data).reshape(shape);
  const transposed = ({ data, shape: [rows, columns] }) =>
    np.array(data).reshape([rows, columns]).transpose();
  const layers = model.layers.map((layer) =>
    Object.fromEntries(
      Object.entries(layer).map(([name, value]) => [
        name,
        value.shape.length === 2 ? transposed(value) : tensor(value),
      ]),
    ),
  );
  const finalNorm = tensor(model.finalNorm);
  const head = transposed(model.embedding);
  const [cosines, sines] = [cos, sin].map((data) =>
    np.array(data).reshape([1, 1, length, headDim]),
  );
  const labels = nn.oneHot(np.array(targets), vocabulary);
  const embedded = np.take(tensor(model.embedding), np.array(ids), 0).mul(Math.sqrt(hidden));
  const causal = Float32Array.from({ length: heads * length * length }, (_, i) =>
    i % length > Math.floor(i / length) % length ? -1e9 : 0,
  );
  const mask = np.array(causal).reshape([1, heads * length, length]);

  const norm = (x, weight) => {
    const scaled = np.sqrt(np.mean(x.ref.mul(x.ref), -1, { keepdims: true }).add(model.epsilon));
    return x.div(scaled).mul(weight.ref.add(1));
  };
  const linear = (x, weight) => np.matmul(x, weight.ref);
  const adapted = (x, weight, a, b) => {
    const low = np.matmul(np.matmul(x.ref, np.transpose(a)), np.transpose(b));
    return linear(x, weight).add(low.mul(scale));
  };
  const turned = (x) => {
    const [first, second] = np.split(x.ref, 2, -1);
    return x.mul(cosines.ref).add(np.concatenate([second.neg(), first], -1).mul(sines.ref));
  };
  const loss = (parameters) => {
    let x = embedded.ref;
    for (const [i, w] of layers.entries()) {
      const [qA, qB, vA, vB] = parameters.slice(4 * i, 4 * i + 4);
      const normed = norm(x.ref, w.inputNorm);
      const split = (y, count) =>
        np.transpose(y.reshape([batch, length, count, headDim]), [0, 2, 1, 3]);
      const q = turned(split(adapted(normed.ref, w.q, qA, qB), heads));
      const k = turned(split(linear(normed.ref, w.k), 1)).reshape([batch, length, headDim]);
      const v = adapted(normed, w.v, vA, vB).reshape([batch, length, headDim]);
      const rows = q.reshape([batch, heads * length, headDim]);
      const scores = np.matmul(rows, np.transpose(k, [0, 2, 1])).mul(headDim ** -0.5);
      const mixed = np.matmul(nn.softmax(scores.add(mask.ref), -1), v);
      const attended = np
        .transpose(mixed.reshape([batch, heads, length, headDim]), [0, 2, 1, 3])
        .reshape([batch * length, heads * headDim]);
      const h = x.add(linear(attended, w.o));
      const inner = norm(h.ref, w.postNorm);
      const gated = nn.gelu(linear(inner.ref, w.gate), { approximate: true });
      x = h.add(linear(gated.mul(linear(inner, w.up)), w.down));
    }
    const logits = linear(norm(x, finalNorm), head);
    return np.mean(np.sum(nn.logSoftmax(logits, -1).mul(labels.ref), -1)).neg();
  };
  const gradients = valueAndGrad(loss);
  return async (values) => {
    const parameters = values.map((data, i) => np.array(data).reshape(model.parameters[i].shape));
    const [value, grads] = gradients(parameters);
    return {
      loss: (await value.data())[0],
      gradients: await Promise.all(grads.map((grad) => grad.data())),
    };
  };
}
