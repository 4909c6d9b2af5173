/**
 * A published model goes on learning.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Decoder } from "../../nn/mod.ts";
import { Tokenizer } from "../../text/mod.ts";
import {
  packedBatches,
  pretrainStage,
  rowsOf,
  steepSchedule,
  streamRows,
  type TokenBatch,
  tokenizeRows,
  train,
} from "../../train/mod.ts";
import { sharedPath, sharedTest, sharedText } from "../text/shared.ts";
import { MemoryRun } from "./support.ts";

const folder = "models/stories260K/", text = "text/tinystories-small/tiny_stories.txt";
const context = 256, steps = 24;

sharedTest(
  "stories260K that goes on learning stories lowers its loss on stories it did not see",
  [folder, text],
  async () => {
    using model = Decoder.load(sharedPath(`${folder}stories260K.bin`));
    const tokenizer = await Tokenizer.load(sharedPath(`${folder}tok512.bin`));
    // A line break that is alone ends a story.
    const stories = sharedText(text).trim().split(/(?<!\n)\n(?!\n)/).map((text) => ({ text }));
    const batches = (rows: typeof stories, name: string, epochs: number) => {
      const sequences = tokenizeRows(rowsOf(rows, name), { tokenizer, context });
      const source = streamRows(sequences, { epochs });
      return packedBatches({ source, context, tokensPerBatch: 4 * context });
    };
    const heldOut: TokenBatch[] = [], unseen = batches(stories.slice(-30), "held-out stories", 1);
    for (let batch = await unseen.next(); batch; batch = await unseen.next()) {
      heldOut.push(...batch);
    }
    const stage = pretrainStage({
      model,
      batches: batches(stories.slice(0, -30), "stories", Infinity),
      heldOut,
    });
    const before = (await stage.evaluate!()).loss;
    const run = new MemoryRun();
    const lr = steepSchedule({ peak: 1e-3, warmup: 5, steps });
    const { best } = await train(stage, { steps, lr, evaluateEvery: steps }, run);
    console.log(`held-out loss ${before.toFixed(4)} → ${best!.loss.toFixed(4)}`);
    assert.ok(best!.loss < before - 0.01, `${before} → ${best!.loss}`);
  },
);
