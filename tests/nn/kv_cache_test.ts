/**
 * Keys and values of earlier tokens: decoding with them gives the same bits as without.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Decoder, type DecoderSpec, generate, KvCache, normal } from "../../nn/mod.ts";
import { device, IndexError, noGrad, scope, ShapeError, Tensor } from "../../tensor/mod.ts";
import { tensorTest, uniforms } from "../support.ts";
import { deci, llama, nemotron } from "./specs.ts";

const windowed: DecoderSpec = {
  ...llama,
  blocks: llama.blocks.map(({ ffn }) => ({
    attention: { kind: "gqa", heads: 4, kvHeads: 2, window: 5 },
    ffn,
  })),
};
const families = { llama, nemotron, deci, windowed };

const integers = (ids: readonly number[]): Tensor =>
  Tensor.from(ids, [ids.length], { dtype: "i32" });

function randomIds(length: number, seed: number, { vocab }: DecoderSpec = llama): number[] {
  const next = uniforms(seed);
  return Array.from({ length }, () => Math.floor(next() * vocab));
}

/** A decoder whose attention has something to tell: weights larger than those training starts with. */
function loudDecoder(spec: DecoderSpec, dtype: "f32" | "bf16" = "f32"): Decoder {
  const decoder = new Decoder(spec, { dtype, train: false });
  for (const [name, weight] of decoder.weights()) {
    if (weight.rank === 2) normal(0.3, 1)(weight, name);
  }
  return decoder;
}

/** Logits of a sequence on its own, without a cache. */
function logitsOf(decoder: Decoder, ids: readonly number[]): number[][] {
  const data = noGrad(() => scope(() => decoder.logits(integers(ids).reshape([1, -1])).data()));
  const { vocab } = decoder.spec;
  return ids.map((_, i) => [...data.subarray(i * vocab, (i + 1) * vocab)]);
}

for (const [name, spec] of Object.entries(families)) {
  for (const dtype of ["f32", "bf16"] as const) {
    tensorTest(`${name} in ${dtype} decodes with a cache to the bits it has without`, () => {
      using decoder = loudDecoder(spec, dtype);
      const sequences = [randomIds(9, 1), randomIds(14, 2), randomIds(3, 3)];
      const expected = sequences.map((ids) => logitsOf(decoder, ids));
      using cache = decoder.cache({ batch: 3, capacity: 16 });
      const seen: number[][][] = [[], [], []];
      // Prompts of different lengths, then pieces of different lengths, some of no tokens.
      for (const counts of [[4, 7, 1], [1, 1, 1], [3, 0, 1], [1, 6, 0]]) {
        const pieces = counts.map((n, s) => sequences[s].slice(seen[s].length, seen[s].length + n));
        const logits = decoder.logits(integers(pieces.flat()), { cache, lengths: counts }).data();
        let row = 0;
        counts.forEach((n, s) => {
          for (let i = 0; i < n; i++, row++) {
            seen[s].push([...logits.subarray(row * spec.vocab, (row + 1) * spec.vocab)]);
          }
        });
      }
      assert.deepEqual(cache.lengths, [9, 14, 3]);
      assert.deepEqual(seen, expected);
    });
  }
}

tensorTest("sequences of a batch have the bits that each has alone", () => {
  using decoder = loudDecoder(deci);
  const sequences = [1, 2, 3, 4, 5].map((seed) => randomIds(11, seed));
  const logits = decoder.logits(integers(sequences.flat()).reshape([5, 11]));
  sequences.forEach((ids, s) =>
    assert.deepEqual([...logits.select(0, s).data()], logitsOf(decoder, ids).flat())
  );
});

tensorTest("packed sequences have the bits that each has alone", () => {
  using decoder = loudDecoder(nemotron);
  const lengths = [3, 1, 20, 7], sequences = lengths.map((length, s) => randomIds(length, s));
  const logits = decoder.logits(integers(sequences.flat()), { lengths }).data();
  assert.deepEqual([...logits], sequences.flatMap((ids) => logitsOf(decoder, ids).flat()));
});

tensorTest("a truncated cache continues as if the rest had never been", () => {
  using decoder = loudDecoder(llama);
  const ids = randomIds(10, 1);
  using cache = decoder.cache({ batch: 1, capacity: 12 });
  decoder.hidden(integers(randomIds(12, 2)), { cache });
  cache.truncate(0);
  decoder.hidden(integers([...ids.slice(0, 6), 1, 2, 3]), { cache });
  cache.truncate(6, 0);
  const logits = decoder.logits(integers(ids.slice(6)), { cache }).data();
  assert.deepEqual([...logits], logitsOf(decoder, ids).slice(6).flat());
});

Deno.test("a cache has room for layers with attention only", () => {
  using cache = new KvCache(deci, { batch: 2, capacity: 10 });
  assert.deepEqual(cache.layers.map((layer) => layer !== null), [true, false, false, true, false]);
  assert.equal(cache.bytes, 4 * 2 * 2 * 10 * (2 + 1) * 8);
});

tensorTest("a cache that is full says which sequence does not fit, and keeps what it has", () => {
  using decoder = loudDecoder(llama);
  using cache = decoder.cache({ batch: 2, capacity: 4 });
  decoder.hidden(integers([1, 2, 3]), { cache, lengths: [1, 2] });
  assert.throws(
    () => decoder.hidden(integers([1, 2, 3]), { cache, lengths: [0, 3] }),
    new ShapeError(
      "cache: sequence 1 does not fit, 2 tokens and 3 more (5 vs 4). Make a cache of more capacity, or truncate() it.",
    ),
  );
  assert.throws(() => decoder.hidden(integers([1]), { cache }), ShapeError);
  assert.deepEqual(cache.lengths, [1, 2]);
});

tensorTest("a forward pass that fails leaves the cache as it was", () => {
  using decoder = loudDecoder(llama);
  using cache = decoder.cache({ batch: 1, capacity: 8 });
  decoder.hidden(integers([1, 2]), { cache });
  assert.throws(() => decoder.hidden(integers([3, 96]), { cache }), IndexError);
  assert.deepEqual(cache.lengths, [2]);
  const logits = decoder.logits(integers([3]), { cache }).data();
  assert.deepEqual([...logits], logitsOf(decoder, [1, 2, 3])[2]);
});

tensorTest("prompts generated together get the tokens that each gets alone", () => {
  using decoder = loudDecoder(deci);
  const prompts = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10]];
  const collect = (given: number[][]): number[][] => {
    const made = given.map((): number[] => []);
    for (const { sequence, id } of generate(decoder, given, { maxTokens: 12, stop: [7] })) {
      made[sequence].push(id);
    }
    return made;
  };
  assert.deepEqual(collect(prompts), prompts.map((prompt) => collect([prompt])[0]));
});

tensorTest("generation is a function of the seed", () => {
  using decoder = loudDecoder(llama);
  const sample = (seed: number): number[] =>
    [...generate(decoder, [[1]], { maxTokens: 20, temperature: 2, topK: 50, topP: 0.95, seed })]
      .map(({ id }) => id);
  assert.deepEqual(sample(1), sample(1));
  assert.notDeepEqual(sample(1), sample(2));
});

tensorTest("the id that ends a sequence is part of it only where that is asked for", () => {
  using decoder = loudDecoder(llama);
  const drawn = (options: { stop?: number[]; keepStop?: boolean }): number[] =>
    [...generate(decoder, [[1]], { maxTokens: 12, temperature: 2, ...options })].map(({ id }) =>
      id
    );
  const all = drawn({}), stop = [all[5]], first = all.indexOf(all[5]);
  assert.deepEqual(drawn({ stop }), all.slice(0, first));
  assert.deepEqual(drawn({ stop, keepStop: true }), all.slice(0, first + 1));
});

tensorTest("generation ends at the context, and frees its cache when it is left early", () => {
  using decoder = loudDecoder({ ...llama, context: 8 });
  assert.equal([...generate(decoder, [[1, 2, 3]], { maxTokens: 100 })].length, 6);
  using short = new Decoder(llama, { train: false, context: 5 });
  assert.equal([...generate(short, [[1, 2, 3]], { maxTokens: 100 })].length, 3);
  const before = device().memory.inUse;
  for (const _ of generate(decoder, [[1, 2, 3]], { maxTokens: 100 })) break;
  assert.equal(device().memory.inUse, before);
});
