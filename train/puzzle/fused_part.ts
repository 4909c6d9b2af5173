/**
 * The weights of several feed-forward parts as those of one.
 *
 * @module
 */

/** Numbers of a part by name: `norm.weight`, `gate.weight`, `up.weight`, `down.weight` and their biases. */
export type PartNumbers = ReadonlyMap<string, Float32Array>;

/** Sizes of a fused part. */
export interface FusedSizes {
  /** Size of the residual stream. */
  readonly dim: number;
  /** Channels of the fused part: those of all parts, and any number that are 0. */
  readonly hidden: number;
  /** How the scale of a norm is stored: as it is, or less 1. */
  readonly norm: "rms_norm" | "layer_norm_1p";
}

/**
 * Σ_j FFN_j(norm_j x) as one part: gate and up are stacked by rows, down by columns. All read one norm, that of the first
 * part; a part's own scale γ_j goes into its matrices, W · diag(γ_j / γ), and what its shift b_j differs by becomes a bias,
 * W · (b_j − b ⊙ γ_j / γ). Both are exact, since norms differ in nothing else.
 */
export function fusedPart(parts: readonly PartNumbers[], sizes: FusedSizes): PartNumbers {
  const { dim, hidden } = sizes, shared = sharedNorm(parts[0], sizes);
  const matrices = ["gate", "up"].filter((name) => parts[0].has(`${name}.weight`));
  const fused = new Map<string, Float32Array>(shared.stored);
  for (const name of matrices) {
    fused.set(`${name}.weight`, new Float32Array(hidden * dim));
    fused.set(`${name}.bias`, new Float32Array(hidden));
  }
  const down = new Float32Array(dim * hidden), downBias = new Float32Array(dim);
  let start = 0;
  for (const part of parts) {
    const { ratio, shift } = differences(part, shared, sizes);
    const width = part.get("down.weight")!.length / dim;
    for (const name of matrices) {
      const from = part.get(`${name}.weight`)!, bias = part.get(`${name}.bias`);
      const to = fused.get(`${name}.weight`)!, toBias = fused.get(`${name}.bias`)!;
      for (let row = 0; row < width; row++) {
        let moved = bias?.[row] ?? 0;
        for (let i = 0; i < dim; i++) {
          const weight = from[row * dim + i];
          to[(start + row) * dim + i] = weight * ratio[i];
          moved += weight * shift[i];
        }
        toBias[start + row] = moved;
      }
    }
    const from = part.get("down.weight")!;
    for (let i = 0; i < dim; i++) {
      down.set(from.subarray(i * width, (i + 1) * width), i * hidden + start);
      downBias[i] += part.get("down.bias")?.[i] ?? 0;
    }
    start += width;
  }
  fused.set("down.weight", down).set("down.bias", downBias);
  return withoutEmptyBiases(fused);
}

interface SharedNorm {
  /** Scale and shift as they are meant. */
  readonly scale: Float32Array;
  readonly shift: Float32Array;
  /** As they are stored. */
  readonly stored: PartNumbers;
}

/** The first part's norm; a plain one when its scale is 0 somewhere, which could not be divided by. */
function sharedNorm(first: PartNumbers, sizes: FusedSizes): SharedNorm {
  const { scale, shift } = meant(first, sizes), { dim, norm } = sizes;
  const usable = scale.every((value) => Math.abs(value) > 1e-6);
  const own = usable ? scale : new Float32Array(dim).fill(1);
  const ownShift = usable ? shift : new Float32Array(dim);
  const weight = norm === "rms_norm" ? own : own.map((value) => value - 1);
  const stored = new Map([["norm.weight", usable ? first.get("norm.weight")! : weight]]);
  if (norm === "layer_norm_1p") stored.set("norm.bias", ownShift);
  return { scale: own, shift: ownShift, stored };
}

/** Scale and shift of a part's norm. */
function meant(
  part: PartNumbers,
  { dim, norm }: FusedSizes,
): { readonly scale: Float32Array; readonly shift: Float32Array } {
  const weight = part.get("norm.weight")!;
  return {
    scale: norm === "rms_norm" ? weight : weight.map((value) => value + 1),
    shift: part.get("norm.bias") ?? new Float32Array(dim),
  };
}

/** What a part's norm has beyond the shared one: n_j = ratio ⊙ n + shift. */
function differences(
  part: PartNumbers,
  shared: SharedNorm,
  sizes: FusedSizes,
): { readonly ratio: Float64Array; readonly shift: Float64Array } {
  const own = meant(part, sizes);
  const ratio = Float64Array.from(own.scale, (value, i) => value / shared.scale[i]);
  const shift = Float64Array.from(own.shift, (value, i) => value - ratio[i] * shared.shift[i]);
  return { ratio, shift };
}

/** Biases are all there or none. */
function withoutEmptyBiases(fused: Map<string, Float32Array>): PartNumbers {
  const biases = [...fused.keys()].filter((name) => /^(gate|up|down)\.bias$/.test(name));
  if (biases.some((name) => fused.get(name)!.some((value) => value !== 0))) return fused;
  for (const name of biases) fused.delete(name);
  return fused;
}
