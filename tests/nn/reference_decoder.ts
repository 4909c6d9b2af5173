/**
 * A decoder in float64 and plain loops, written from the formulas and sharing no code with the library.
 *
 * @module
 */
import type { AttentionSpec, DecoderSpec, FfnSpec } from "../../nn/mod.ts";

/** Weights by name, row-major. */
export type Numbers = ReadonlyMap<string, ArrayLike<number>>;
type Vector = number[];

const silu = (x: number): number => x / (1 + Math.exp(-x));
const add = (a: Vector, b: Vector): Vector => a.map((x, i) => x + b[i]);
const mean = (x: Vector): number => x.reduce((a, b) => a + b, 0) / x.length;

/** Logits of each token of one sequence. */
export function referenceLogits(
  spec: DecoderSpec,
  weights: Numbers,
  ids: readonly number[],
): Vector[] {
  const { dim, blocks, tied } = spec;
  const table = weights.get("embedding.weight")!;
  let stream = ids.map((id) => Array.from({ length: dim }, (_, i) => table[id * dim + i]));
  blocks.forEach(({ attention, ffn }, i) => {
    const at = `blocks.${i}`;
    if (attention) {
      const normed = stream.map((x) => norm(spec, weights, `${at}.attention.norm`, x));
      const out = attend(spec, attention, weights, `${at}.attention`, normed);
      stream = stream.map((x, t) => add(x, out[t]));
    }
    if (ffn) {
      stream = stream.map((x) => {
        const normed = norm(spec, weights, `${at}.ffn.norm`, x);
        return add(x, feedForward(ffn, weights, `${at}.ffn`, normed));
      });
    }
  });
  const head = tied ? "embedding" : "head";
  return stream.map((x) => linear(weights, head, norm(spec, weights, "norm", x)));
}

/** Mean negative log-likelihood of each next token, over all sequences. */
export function referenceLoss(
  spec: DecoderSpec,
  weights: Numbers,
  sequences: readonly number[][],
): number {
  const losses = sequences.flatMap((ids) =>
    referenceLogits(spec, weights, ids.slice(0, -1)).map((logits, t) => {
      const top = Math.max(...logits);
      const total = logits.reduce((sum, z) => sum + Math.exp(z - top), 0);
      return top + Math.log(total) - logits[ids[t + 1]];
    })
  );
  return mean(losses);
}

function linear(weights: Numbers, name: string, x: Vector): Vector {
  const weight = weights.get(`${name}.weight`)!, bias = weights.get(`${name}.bias`);
  return Array.from({ length: weight.length / x.length }, (_, row) => {
    let sum = bias?.[row] ?? 0;
    for (let i = 0; i < x.length; i++) sum += weight[row * x.length + i] * x[i];
    return sum;
  });
}

function norm({ norm }: DecoderSpec, weights: Numbers, name: string, x: Vector): Vector {
  const weight = weights.get(`${name}.weight`)!, bias = weights.get(`${name}.bias`);
  if (norm.kind === "rms_norm") {
    const rms = Math.sqrt(mean(x.map((v) => v * v)) + norm.eps);
    return x.map((v, i) => v / rms * weight[i]);
  }
  const centre = mean(x), deviation = Math.sqrt(mean(x.map((v) => (v - centre) ** 2)) + norm.eps);
  return x.map((v, i) => (v - centre) / deviation * (1 + weight[i]) + bias![i]);
}

function feedForward(ffn: FfnSpec, weights: Numbers, at: string, x: Vector): Vector {
  if (ffn.kind === "linear") return linear(weights, `${at}.linear`, x);
  const up = linear(weights, `${at}.up`, x);
  if (ffn.kind === "relu2") {
    return linear(
      weights,
      `${at}.down`,
      up.map((v) => Math.max(v, 0) ** 2),
    );
  }
  const gate = linear(weights, `${at}.gate`, x);
  return linear(weights, `${at}.down`, up.map((v, i) => silu(gate[i]) * v));
}

function attend(
  spec: DecoderSpec,
  attention: AttentionSpec,
  weights: Numbers,
  at: string,
  stream: readonly Vector[],
): Vector[] {
  if (attention.kind === "linear") return stream.map((x) => linear(weights, `${at}.linear`, x));
  const { heads, kvHeads, window = Infinity } = attention, { headDim } = spec;
  const project = (name: string, count: number, turned: boolean): Vector[][] =>
    stream.map((x, position) => {
      const y = linear(weights, `${at}.${name}`, x);
      return Array.from({ length: count }, (_, h) => {
        const head = y.slice(h * headDim, (h + 1) * headDim);
        return turned ? turn(spec, head, position) : head;
      });
    });
  const q = project("q", heads, true),
    k = project("k", kvHeads, true),
    v = project("v", kvHeads, false);
  return stream.map((_, t) => {
    const attended = q[t].flatMap((query, h) => {
      const shared = Math.floor(h / (heads / kvHeads)), first = Math.max(0, t - window + 1);
      const scores = k.slice(first, t + 1).map((keys) =>
        query.reduce((sum, x, i) => sum + x * keys[shared][i], 0) / Math.sqrt(headDim)
      );
      const top = Math.max(...scores), weighted = scores.map((score) => Math.exp(score - top));
      const total = weighted.reduce((a, b) => a + b, 0);
      return query.map((_, i) =>
        weighted.reduce((sum, weight, j) => sum + weight / total * v[first + j][shared][i], 0)
      );
    });
    return linear(weights, `${at}.o`, attended);
  });
}

/** Pairs (i, i + rotary / 2) of the first `rotary` elements turn by position · frequency. */
function turn({ headDim, rope }: DecoderSpec, head: Vector, position: number): Vector {
  const rotary = headDim * rope.fraction, half = rotary / 2, turned = [...head];
  for (let i = 0; i < half; i++) {
    let frequency = rope.theta ** (-2 * i / rotary);
    if (rope.scaling) {
      const { factor, lowFrequency, highFrequency, originalContext } = rope.scaling;
      const wavelength = 2 * Math.PI / frequency;
      if (wavelength > originalContext / lowFrequency) frequency /= factor;
      else if (wavelength >= originalContext / highFrequency) {
        const smooth = (originalContext / wavelength - lowFrequency) /
          (highFrequency - lowFrequency);
        frequency = (1 - smooth) * frequency / factor + smooth * frequency;
      }
    }
    const angle = position * frequency, cosine = Math.cos(angle), sine = Math.sin(angle);
    turned[i] = head[i] * cosine - head[half + i] * sine;
    turned[half + i] = head[half + i] * cosine + head[i] * sine;
  }
  return turned;
}
