/** Distillation: a student of one block learns what its teacher of four predicts. */
import { Decoder } from "@denotron/denotron";
import { compareDecoders, cosineSchedule, distillStage, train } from "@denotron/denotron/train";
import assert from "node:assert/strict";
import { batchesOf, modelThatKnows, printingRun, sentence, smallSpec } from "./support.ts";

using learned = await modelThatKnows(4);
using teacher = Decoder.load({ spec: learned.spec, entries: learned.state() }, { train: false });
using student = new Decoder(smallSpec(1), { seed: 2 });

const heldOut = (await batchesOf(sentence).next(1))!;
const before = compareDecoders(teacher, student, heldOut);
const stage = distillStage({
  ...{ student, teacher, heldOut, batches: batchesOf(sentence) },
  klWeight: 1, // KL(teacher ‖ student) of the predictions
  cosineWeight: 1, // 1 − cos of the residual streams
});
const steps = 100, lr = cosineSchedule({ peak: 1e-2, warmup: 5, steps });
await train(stage, { steps, lr }, printingRun(20, ["loss", "kl", "cosine"]));

const after = compareDecoders(teacher, student, heldOut);
console.log(`KL to the teacher: ${before.kl.toFixed(3)} → ${after.kl.toFixed(3)}`);
assert.ok(after.kl < before.kl / 10);
