// The training step of workload S by TensorFlow.js on its WebAssembly backend; ../workloads/peerStep.ts runs it.
import { createRequire } from "node:module";
import { dirname } from "node:path";

const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs");
const wasm = require("@tensorflow/tfjs-backend-wasm");

export const version = tf.version["tfjs-core"];

/** Gives a function from parameters, in the model's order, to the loss and its gradients. */
export async function openStep(model) {
  wasm.setWasmPaths(
    `${dirname(require.resolve("@tensorflow/tfjs-backend-wasm/package.json"))}/dist/`,
  );
  await tf.setBackend("wasm");
  const { batch, length, heads, headDim, hidden, vocabulary, scale, ids, targets, cos, sin } =
    model;
  const tensor = ({ data, shape }) => tf.tensor(data, shape, "float32");
  const layers = model.layers.map((layer) =>
    Object.fromEntries(Object.entries(layer).map(([name, value]) => [name, tensor(value)])),
  );
  const embedding = tensor(model.embedding);
  const finalNorm = tensor(model.finalNorm);
  const [cosines, sines] = [cos, sin].map((data) => tf.tensor(data, [1, 1, length, headDim]));
  const labels = tf.oneHot(tf.tensor1d(targets, "int32"), vocabulary).toFloat();
  const embedded = tf.tidy(() =>
    tf.gather(embedding, tf.tensor1d(ids, "int32")).mul(Math.sqrt(hidden)),
  );
  const mask = tf.tidy(() => {
    const causal = tf.linalg.bandPart(tf.ones([length, length]), -1, 0);
    return tf.sub(1, causal).mul(-1e9).tile([heads, 1]).expandDims(0);
  });

  const norm = (x, weight) =>
    x.mul(tf.rsqrt(x.square().mean(-1, true).add(model.epsilon))).mul(weight.add(1));
  const linear = (x, weight) => tf.matMul(x, weight, false, true);
  const adapted = (x, weight, a, b) => linear(x, weight).add(linear(linear(x, a), b).mul(scale));
  const turned = (x) => {
    const [first, second] = tf.split(x, 2, -1);
    return x.mul(cosines).add(tf.concat([second.neg(), first], -1).mul(sines));
  };
  const gelu = (x) =>
    x
      .mul(0.5)
      .mul(tf.tanh(x.add(x.mul(x).mul(x).mul(0.044715)).mul(Math.sqrt(2 / Math.PI))).add(1));

  const loss = (...parameters) => {
    let x = embedded;
    for (const [i, w] of layers.entries()) {
      const [qA, qB, vA, vB] = parameters.slice(4 * i, 4 * i + 4);
      const normed = norm(x, w.inputNorm);
      const split = (y, count) =>
        y.reshape([batch, length, count, headDim]).transpose([0, 2, 1, 3]);
      const q = turned(split(adapted(normed, w.q, qA, qB), heads));
      const k = turned(split(linear(normed, w.k), 1)).reshape([batch, length, headDim]);
      const v = adapted(normed, w.v, vA, vB).reshape([batch, length, headDim]);
      const rows = q.reshape([batch, heads * length, headDim]);
      const scores = tf
        .matMul(rows, k, false, true)
        .mul(headDim ** -0.5)
        .add(mask);
      const mixed = tf.matMul(tf.softmax(scores), v).reshape([batch, heads, length, headDim]);
      const attended = mixed.transpose([0, 2, 1, 3]).reshape([batch * length, heads * headDim]);
      const h = x.add(linear(attended, w.o));
      const inner = norm(h, w.postNorm);
      x = h.add(linear(gelu(linear(inner, w.gate)).mul(linear(inner, w.up)), w.down));
    }
    const logits = linear(norm(x, finalNorm), embedding);
    return tf.losses.softmaxCrossEntropy(labels, logits);
  };
  const gradients = tf.valueAndGrads(loss);
  return async (values) => {
    const parameters = values.map((data, i) => tf.tensor(data, model.parameters[i].shape));
    const { value, grads } = tf.tidy(() => gradients(parameters));
    const result = {
      loss: (await value.data())[0],
      gradients: await Promise.all(grads.map((grad) => grad.data())),
    };
    tf.dispose([value, grads, parameters]);
    return result;
  };
}
