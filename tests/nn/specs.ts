import fc from "fast-check";
import type { AttentionSpec, BlockSpec, DecoderSpec, FfnSpec } from "../../nn/spec.ts";

/** The shared data folder, which a checkout may lack. */
export const SHARED: URL = new URL("../../../shared/data/", import.meta.url);

/** Whether a file or folder of the shared data is there; says so once when it isn't. */
export function hasShared(path: string): boolean {
  try {
    Deno.statSync(new URL(path, SHARED));
    return true;
  } catch {
    console.log(`skipped: ../shared/data/${path} is absent`);
    return false;
  }
}

/** Runs a test in a folder of its own, which is removed afterwards. */
export async function withFolder(test: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    await test(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

/** A small Llama with two equal blocks. */
export const llama: DecoderSpec = {
  vocab: 96,
  dim: 32,
  context: 128,
  headDim: 8,
  norm: { kind: "rms_norm", eps: 1e-5 },
  rope: { theta: 10_000, fraction: 1, scaling: null },
  tied: false,
  blocks: [0, 1].map(() => ({
    attention: { kind: "gqa", heads: 4, kvHeads: 2 },
    ffn: { kind: "gated", hidden: 48, activation: "silu" },
  })),
};

/** A small Nemotron-4. */
export const nemotron: DecoderSpec = {
  ...llama,
  norm: { kind: "layer_norm_1p", eps: 1e-5 },
  rope: { theta: 10_000, fraction: 0.5, scaling: null },
  blocks: [0, 1].map(() => ({
    attention: { kind: "gqa", heads: 4, kvHeads: 2 },
    ffn: { kind: "relu2", hidden: 64 },
  })),
};

/** A small DeciLM: every kind of block that the format has. */
export const deci: DecoderSpec = {
  ...llama,
  rope: {
    theta: 500_000,
    fraction: 1,
    scaling: {
      kind: "llama3",
      factor: 8,
      lowFrequency: 1,
      highFrequency: 4,
      originalContext: 8192,
    },
  },
  blocks: [
    {
      attention: { kind: "gqa", heads: 4, kvHeads: 2 },
      ffn: { kind: "gated", hidden: 256, activation: "silu" },
    },
    { attention: null, ffn: { kind: "gated", hidden: 48, activation: "silu" } },
    { attention: { kind: "linear" }, ffn: { kind: "linear" } },
    { attention: { kind: "gqa", heads: 4, kvHeads: 1 }, ffn: null },
    { attention: null, ffn: null },
  ],
};

/** Any part of a spec that the given kinds allow. */
function anyBlock(heads: number, ffnKinds: readonly FfnSpec["kind"][]): fc.Arbitrary<BlockSpec> {
  const divisors = [1, 2, 4, 8].filter((n) => heads % n === 0);
  const attention: fc.Arbitrary<AttentionSpec | null> = fc.oneof(
    fc.constantFrom(...divisors).map((kvHeads) => ({ kind: "gqa", heads, kvHeads }) as const),
    fc.constantFrom({ kind: "linear" } as const, null),
  );
  const ffn: fc.Arbitrary<FfnSpec | null> = fc
    .tuple(fc.constantFrom(...ffnKinds, null), fc.integer({ min: 1, max: 2000 }))
    .map(([kind, hidden]) => {
      if (kind === null || kind === "linear") return kind && { kind };
      return kind === "gated" ? { kind, hidden, activation: "silu" } : { kind, hidden };
    });
  return fc.record({ attention, ffn }, { noNullPrototype: true });
}

/** Any small decoder; `ffnKinds` limits its feed-forward parts. */
export function anySpec(
  ffnKinds: readonly FfnSpec["kind"][] = ["gated", "relu2", "linear"],
): fc.Arbitrary<DecoderSpec> {
  return fc
    .tuple(fc.constantFrom(1, 2, 4, 8), fc.constantFrom(2, 4, 6), fc.boolean(), fc.nat(50))
    .chain(([heads, headDim, tied, vocab]) =>
      fc.array(anyBlock(heads, ffnKinds), { minLength: 1, maxLength: 4 }).map((blocks) => ({
        ...llama,
        vocab: vocab + 1,
        dim: heads * headDim,
        headDim,
        tied,
        blocks,
      }))
    );
}
