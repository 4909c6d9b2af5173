import type { DecoderSpec } from "../spec.ts";

/**
 * Reorders the rows of each head from rotate-half order (Hugging Face and ours: the two numbers
 * of a rotated pair lie half a head apart) to interleaved order (llama.cpp, llama2.c and Meta:
 * they are neighbours). `bytes` holds [heads · headDim, …] in any dtype whose rows are whole bytes.
 * Source: `permute` in llama.cpp's converter, reshape(heads, 2, headDim / 2, …).swapaxes(1, 2).
 */
export function interleaveHeads(bytes: Uint8Array, heads: number, headDim: number): Uint8Array {
  return reorder(
    bytes,
    heads,
    headDim,
    (half, pair) => [half * headDim / 2 + pair, 2 * pair + half],
  );
}

/** The reverse of {@linkcode interleaveHeads}. */
export function deinterleaveHeads(bytes: Uint8Array, heads: number, headDim: number): Uint8Array {
  return reorder(
    bytes,
    heads,
    headDim,
    (half, pair) => [2 * pair + half, half * headDim / 2 + pair],
  );
}

function reorder(
  bytes: Uint8Array,
  heads: number,
  headDim: number,
  rows: (half: number, pair: number) => [from: number, to: number],
): Uint8Array {
  const rowBytes = bytes.length / (heads * headDim);
  const result = new Uint8Array(bytes.length);
  for (let head = 0; head < heads; head++) {
    for (let half = 0; half < 2; half++) {
      for (let pair = 0; pair < headDim / 2; pair++) {
        const [from, to] = rows(half, pair).map((row) => (head * headDim + row) * rowBytes);
        result.set(bytes.subarray(from, from + rowBytes), to);
      }
    }
  }
  return result;
}

/**
 * The heads of a parameter whose rows are rotated, such as `blocks.0.attention.k.weight`, or null
 * for every other parameter.
 */
export function rotatedHeads(name: string, spec: DecoderSpec): number | null {
  const [, index, layer] = /^blocks\.(\d+)\.attention\.([qk])\.(?:weight|bias)$/.exec(name) ?? [];
  const attention = spec.blocks[Number(index)]?.attention;
  if (attention?.kind !== "gqa") return null;
  return layer === "q" ? attention.heads : attention.kvHeads;
}
