import assert from "node:assert/strict";
import { Decoder, type DecoderSpec } from "../../nn/mod.ts";
import { device, scope } from "../../tensor/mod.ts";
import { compareDecoders } from "../../train/compare.ts";
import { type DistillOptions, distillStage } from "../../train/distill.ts";
import { train } from "../../train/loop.ts";
import { cosineSchedule } from "../../train/schedule.ts";
import type { BatchSource, TokenBatch } from "../../train/stage.ts";
import { continueBy, studentSamples } from "../../train/student_samples.ts";
import { readTeacherLogits, writeTeacherLogits } from "../../train/teacher_logits.ts";
import { randomTensor } from "../support.ts";
import { withFolder } from "../nn/specs.ts";
import { parentSpec, quietRun, strongDecoder, textBatch, textBatches } from "./puzzle/support.ts";

const studentSpec: DecoderSpec = { ...parentSpec, blocks: parentSpec.blocks.slice(1) };
const none = textBatches();

function gradientOf(options: Omit<DistillOptions, "batches">, batches: readonly TokenBatch[]) {
  const { student } = options, stage = distillStage({ ...options, batches: none });
  student.arena!.zeroGrad();
  const total = batches.reduce((sum, batch) => sum + stage.weight(batch), 0);
  let sum = 0;
  for (const batch of batches) {
    scope(() => {
      const { loss } = stage.loss(batch, total);
      loss.backward();
      sum += loss.item();
    });
  }
  return { loss: sum, gradient: student.arena!.gradient.data().slice() };
}

function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}

Deno.test("a student comes near its teacher, with every divergence", async () => {
  for (const direction of ["forward", "reverse", "jsd"] as const) {
    using teacher = strongDecoder(parentSpec);
    teacher.embedding.weight.assign(teacher.embedding.weight.mul(20)); // predictions that are not all alike
    using student = new Decoder(parentSpec, { from: teacher.state() });
    [...student.namedParameters()].forEach(([name, weight], i) => {
      if (name.startsWith("blocks")) {
        weight.assign(weight.add(randomTensor(weight.shape, i).mul(0.02)));
      }
    });
    const heldOut = [textBatch(900)];
    const before = compareDecoders(teacher, student, heldOut);
    const stage = distillStage({
      student,
      teacher,
      batches: textBatches(1, [32, 32, 32, 32]),
      heldOut,
      direction,
    });
    await train(stage, { steps: 60, lr: cosineSchedule({ peak: 2e-3, steps: 60 }) }, quietRun());
    const after = compareDecoders(teacher, student, heldOut);
    assert.ok(after.kl < 0.7 * before.kl, `${direction}: ${before.kl} → ${after.kl}`);
  }
});

Deno.test("a teacher's own copy loses nothing, and learns nothing", () => {
  using teacher = strongDecoder(parentSpec);
  using student = new Decoder(parentSpec, { from: teacher.state() });
  const { loss, gradient } = gradientOf({ student, teacher }, [textBatch(1)]);
  assert.ok(Math.abs(loss) < 1e-4, `${loss}`);
  assert.ok(gradient.every((value) => Math.abs(value) < 1e-3));
});

Deno.test("two micro-batches of different lengths teach what one of both does", () => {
  using teacher = strongDecoder(parentSpec);
  using student = new Decoder(studentSpec, { seed: 3 });
  const [a, b] = [textBatch(1, [20, 4]), textBatch(2, [7])];
  const both: TokenBatch = {
    ids: Int32Array.of(...a.ids, ...b.ids),
    targets: Int32Array.of(...a.targets, ...b.targets),
    lengths: [...a.lengths, ...b.lengths],
  };
  const options = { student, teacher, lossWeight: 0.5, temperature: 2 };
  const split = gradientOf(options, [a, b]), whole = gradientOf(options, [both]);
  assert.ok(Math.abs(split.loss - whole.loss) < 1e-5);
  assert.ok(largestDifference(split.gradient, whole.gradient) < 1e-6);
});

Deno.test("stored logits of the whole vocabulary teach what the teacher itself does", async () => {
  await withFolder(async (folder) => {
    using teacher = strongDecoder(parentSpec);
    using student = new Decoder(studentSpec, { seed: 3 });
    const options = { topK: 40, dtype: "f32", steps: 5, batchesPerShard: 2 } as const;
    await writeTeacherLogits(teacher, textBatches(), folder, options);
    const source = readTeacherLogits(folder, 40, { microBatches: 2 });
    const stored = (await source.next(1))!;
    const live = gradientOf({ student, teacher, cosineWeight: 0 }, stored);
    const offline = gradientOf({ student, teacher: null }, stored);
    assert.ok(Math.abs(live.loss - offline.loss) < 1e-5, `${live.loss} vs ${offline.loss}`);
    assert.ok(largestDifference(live.gradient, offline.gradient) < 1e-6);
    assert.throws(() => readTeacherLogits(folder, 41), /another vocabulary/);
  });
});

Deno.test("stored batches come in a new order each time around, and from where they stood", async () => {
  await withFolder(async (folder) => {
    using teacher = strongDecoder(parentSpec);
    await writeTeacherLogits(teacher, textBatches(), folder, { topK: 4, steps: 5 });
    const firsts = async (source: BatchSource<TokenBatch>, count: number): Promise<string[]> => {
      const found: string[] = [];
      for (let step = 1; step <= count; step++) {
        found.push((await source.next(step))![0].ids.subarray(0, 8).join());
      }
      return found;
    };
    const all = await firsts(readTeacherLogits(folder, 40, { seed: 1 }), 15);
    const epochs = [0, 5, 10].map((from) => all.slice(from, from + 5));
    for (const epoch of epochs) assert.equal(new Set(epoch).size, 5);
    assert.notDeepEqual(epochs[0], epochs[1]);
    const source = readTeacherLogits(folder, 40, { seed: 1 }),
      other = readTeacherLogits(folder, 40, {
        seed: 1,
      });
    await firsts(source, 7);
    other.restore(source.state());
    assert.deepEqual(await firsts(other, 3), all.slice(7, 10));
    const once = readTeacherLogits(folder, 40, { repeat: false, microBatches: 3 });
    assert.equal((await once.next(1))!.length, 3);
    assert.equal((await once.next(2))!.length, 2);
    assert.equal(await once.next(3), null);
  });
});

Deno.test("the logits of a batch are never all there", () => {
  const vocab = 20_000, spec = { ...parentSpec, vocab, dim: 8, headDim: 4, context: 512 };
  const bare: DecoderSpec = { ...spec, blocks: [{ attention: null, ffn: null }] };
  using teacher = new Decoder(bare, { train: false });
  using student = new Decoder(bare);
  const ids = Int32Array.from({ length: 1024 }, (_, i) => i * 31 % vocab);
  const batch = { ids, targets: ids, lengths: [512, 512] };
  const stage = distillStage({ student, teacher, batches: none, chunk: 64, lossWeight: 1 });
  device().resetPeak();
  const before = device().memory.inUse;
  scope(() => stage.loss(batch, 1024).loss.backward());
  const logits = 1024 * vocab * 4;
  assert.ok(device().memory.peak - before < logits / 4, `${device().memory.peak - before}`);
});

Deno.test("on-policy batches train what the student wrote, and are the same for the same seed", async () => {
  using student = strongDecoder(parentSpec);
  const source = () =>
    studentSamples({
      batches: textBatches(),
      promptTokens: 10,
      complete: continueBy(student, { maxTokens: 6 }),
    });
  const [batch] = (await source().next(1))!;
  assert.deepEqual(batch.lengths, [16, 16]); // the text of 9 tokens has no room for a prompt
  const trained = [...batch.targets.keys()].filter((i) => batch.targets[i] >= 0);
  assert.deepEqual(trained, [9, 10, 11, 12, 13, 14, 25, 26, 27, 28, 29, 30]);
  assert.ok(trained.every((i) => batch.targets[i] === batch.ids[i + 1]));
  assert.deepEqual((await source().next(1))![0].ids, batch.ids);
  assert.notDeepEqual((await source().next(2))![0].ids, batch.ids);
});

Deno.test("depths that do not fit are refused", () => {
  using teacher = strongDecoder(parentSpec);
  using student = new Decoder(studentSpec);
  const stage = (depths: number[]) => distillStage({ student, teacher, batches: none, depths });
  assert.throws(() => stage([0, 1]), /do not map 2 blocks to 3/);
  assert.throws(() => stage([0, 1, 4]), /from 0 to 3/);
  stage([0, 2, 3]);
});
