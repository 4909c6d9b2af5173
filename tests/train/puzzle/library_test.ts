import assert from "node:assert/strict";
import {
  type CheckpointEntry,
  type DecoderSpec,
  type LinearReplacement,
  packed,
  type State,
  toFloat32,
} from "../../../nn/mod.ts";
import { noGrad, scope } from "../../../tensor/mod.ts";
import { constantSchedule } from "../../../train/mod.ts";
import { train } from "../../../train/loop.ts";
import { parentActivations } from "../../../train/puzzle/activations.ts";
import { buildLibrary } from "../../../train/puzzle/build_library.ts";
import { bypassStage, variantErrors } from "../../../train/puzzle/bypass.ts";
import { initialWeights } from "../../../train/puzzle/initialise.ts";
import {
  BlockLibrary,
  libraryEntries,
  type LibraryEntry,
  type LibraryOptions,
} from "../../../train/puzzle/library.ts";
import { measureStatistics } from "../../../train/puzzle/statistics.ts";
import { VariantModules } from "../../../train/puzzle/variant_modules.ts";
import { blockVariants } from "../../../train/puzzle/variants.ts";
import { nemotron, withFolder } from "../../nn/specs.ts";
import { assertClose, tensorTest } from "../../support.ts";
import { parentSpec, quietRun, strongDecoder, textBatch, textBatches } from "./support.ts";

const options: LibraryOptions = { variants: { widths: [0.5] } };
const close = { absolute: 1e-5, relative: 1e-4 };

function entriesOf(spec: DecoderSpec, pattern: RegExp): LibraryEntry[] {
  const all = libraryEntries(spec, blockVariants(spec, options.variants), "parts");
  return all.filter(({ layer, kind, name }) => pattern.test(`${layer} ${kind} ${name}`));
}

function numbers({ dtype, read }: CheckpointEntry): Float32Array {
  return toFloat32(dtype, read());
}

const trainOptions = (steps: number) => ({
  steps,
  lr: constantSchedule({ peak: 1e-3 }),
  optimizer: { weightDecay: 0 },
});

tensorTest("one matrix for attention is what attention does to a sequence of one token", () => {
  using parent = strongDecoder(parentSpec);
  const batch = textBatch(3, [1, 1, 1]);
  const [entry] = entriesOf(parentSpec, /^1 attention linear/);
  using variants = variantsOf(parent, [entry]);
  noGrad(() => {
    const { inputs, middles } = parentActivations(parent, batch);
    const given = variants.blocks[0].forward(inputs[1], packed(batch.lengths));
    assertClose(given.data(), middles[1].data(), close, "stream after attention");
  });
});

tensorTest("one matrix for a feed-forward part is down times up", () => {
  using parent = strongDecoder(parentSpec);
  const [entry] = entriesOf(parentSpec, /^0 ffn linear/);
  using variants = variantsOf(parent, [entry]);
  const { linear } = variants.blocks[0].ffn as LinearReplacement;
  const weights = parent.namedParameters();
  const product = weights.get("blocks.0.ffn.down.weight")!
    .matmul(weights.get("blocks.0.ffn.up.weight")!);
  assertClose(linear.weight.data(), product.data(), close, "product");
});

tensorTest("a narrower part without idle channels gives what the whole one does", () => {
  for (const spec of [parentSpec, { ...nemotron, vocab: 40, context: 32 }]) {
    using parent = strongDecoder(spec);
    const down = parent.namedParameters().get("blocks.1.ffn.down.weight")!, hidden = down.shape[1];
    for (let i = 0; i < hidden; i += 2) down.slice(1, i, i + 1).fill(0);
    const [entry] = entriesOf(spec, /^1 ffn 50%/);
    using variants = variantsOf(parent, [entry]);
    assert.ok(variantErrors(parent, variants, [textBatch(4)])[0] < 1e-10, spec.norm.kind);
  }
});

tensorTest("fewer KV heads give the same when those that merge are equal", () => {
  using parent = strongDecoder(parentSpec);
  const weights = parent.namedParameters();
  for (const name of ["k", "v"]) {
    const weight = weights.get(`blocks.1.attention.${name}.weight`)!; // [2 · 8, 32]
    weight.slice(0, 8, 16).assign(weight.slice(0, 0, 8));
  }
  const [entry] = entriesOf(parentSpec, /^1 attention kv1/);
  using variants = variantsOf(parent, [entry]);
  assert.ok(variantErrors(parent, variants, [textBatch(4)])[0] < 1e-10);
});

tensorTest("pruning KV heads keeps the one that contributes", () => {
  using parent = strongDecoder(parentSpec);
  const o = parent.namedParameters().get("blocks.1.attention.o.weight")!; // [32, 4 · 8]
  o.slice(1, 0, 16).fill(0); // the first KV head's query heads add nothing
  const [entry] = entriesOf(parentSpec, /^1 attention kv1/);
  using variants = variantsOf(parent, [entry], "prune");
  assert.ok(variantErrors(parent, variants, [textBatch(4)])[0] < 1e-10);
  const statistics = measureStatistics(parent, [textBatch(4)]);
  assert.ok(statistics[1].kvHeads![0] < 1e-6 && statistics[1].kvHeads![1] > 1e-3);
});

function variantsOf(
  parent: ReturnType<typeof strongDecoder>,
  entries: readonly LibraryEntry[],
  kv: "average" | "prune" = "average",
): VariantModules {
  const statistics = measureStatistics(parent, [textBatch(4), textBatch(5)]);
  const initial = (entry: LibraryEntry): State => initialWeights(parent, statistics, entry, kv);
  return noGrad(() =>
    scope(() =>
      new VariantModules(parent.spec, entries, initial, {
        dtype: "f32",
        context: parent.context,
        train: true,
      })
    )
  );
}

Deno.test("a variant learns the same bits alone and among others, even when another diverges", async () => {
  using parent = strongDecoder(parentSpec);
  const learn = async (pattern: RegExp, harm: boolean): Promise<Float32Array> => {
    using variants = variantsOf(parent, entriesOf(parentSpec, pattern));
    if (harm) variants.entryArenas.values().next().value!.master.fill(NaN);
    const stage = bypassStage({ parent, variants, batches: textBatches() });
    await train(stage, trainOptions(6), quietRun());
    const own = variants.entries.findIndex(({ layer, name }) => layer === 1 && name === "50%");
    return numbers(variants.entryState(own).get("ffn.down.weight")!);
  };
  const alone = await learn(/^1 ffn 50%/, false);
  assert.deepEqual(await learn(/./, false), alone);
  assert.deepEqual(await learn(/./, true), alone);
});

Deno.test("blockwise distillation brings every variant nearer to the parent's block", async () => {
  await withFolder(async (folder) => {
    using parent = strongDecoder(parentSpec);
    for (const train of ["parts", "blocks"] as const) {
      const library = BlockLibrary.open(`${folder}/${train}`, parentSpec, { ...options, train });
      await buildLibrary(library, {
        parent,
        batches: textBatches,
        heldOut: [textBatch(77, [32, 32, 32, 32])],
        train: trainOptions(120),
      }, quietRun());
      for (const entry of library.entries) {
        const { initialError, error } = library.figures(entry)!;
        assert.ok(error < initialError, `${train} ${entry.layer} ${entry.kind} ${entry.name}`);
      }
    }
  });
});

Deno.test("an interrupted library goes on, with the same weights in the end, in groups of layers too", async () => {
  await withFolder(async (folder) => {
    using parent = strongDecoder(parentSpec);
    const build = async (name: string, stopAt: number, layersAtOnce: number) => {
      const library = BlockLibrary.open(`${folder}/${name}`, parentSpec, options);
      const run = quietRun(`${folder}/${name}-run`), { metrics } = run;
      run.metrics = function (...given) {
        metrics.apply(run, given);
        if (run.steps === stopAt) run.interrupted = true;
      };
      const done = await buildLibrary(library, {
        parent,
        batches: textBatches,
        heldOut: [textBatch(77)],
        train: { ...trainOptions(8), resume: true },
        layersAtOnce,
      }, run);
      return { library, done };
    };
    const { library: whole } = await build("whole", Infinity, 3);
    for (const stopAt of [3, 11]) {
      const name = `parts-${stopAt}`;
      assert.equal((await build(name, stopAt, 1)).done, false);
      const { library, done } = await build(name, Infinity, 1);
      assert.equal(done, true);
      for (const entry of library.entries) {
        const other = whole.entryWeights(entry);
        for (const [key, value] of library.entryWeights(entry)) {
          assert.deepEqual(numbers(value), numbers(other.get(key)!), `${entry.layer} ${key}`);
        }
      }
    }
    const reopened = BlockLibrary.open(`${folder}/whole`, parentSpec, options);
    assert.deepEqual(reopened.figures(reopened.entries[0]), whole.figures(whole.entries[0]));
    assert.throws(() => BlockLibrary.open(`${folder}/whole`, parentSpec, {}), /other variants/);
  });
});

Deno.test("a block's choice takes its weights from the library and the rest from the parent", async () => {
  await withFolder(async (folder) => {
    using parent = strongDecoder(parentSpec);
    const library = BlockLibrary.open(folder, parentSpec, options);
    await buildLibrary(library, {
      parent,
      batches: textBatches,
      heldOut: [textBatch(77)],
      train: trainOptions(0),
    }, quietRun());
    const weights = library.weights(2, { attention: "kv1", ffn: "parent" }, parent.state());
    assert.deepEqual(weights.get("attention.k.weight")!.shape, [8, 32]);
    const own = parent.state().get("blocks.2.ffn.up.weight")!;
    assert.deepEqual(numbers(weights.get("ffn.up.weight")!), numbers(own));
    const bare = library.weights(2, { attention: "none", ffn: "linear" }, parent.state());
    assert.deepEqual([...bare.keys()].sort(), ["ffn.linear.weight", "ffn.norm.weight"]);
  });
});
