/** Training from nothing: text, tokenizer, batches, loop, checkpoints and a model that other tools can read. */
import { Decoder, generate } from "@denotron/denotron";
import { cosineSchedule, pretrainStage, train } from "@denotron/denotron/train";
import assert from "node:assert/strict";
import { join } from "node:path";
import { batchesOf, printingRun, sentence, smallSpec, tokenizer } from "./support.ts";

const folder = Deno.args[0] ?? Deno.makeTempDirSync({ prefix: "denotron-example-" });
using model = new Decoder(smallSpec(2), { seed: 1 });

/** The model's own words. */
function say(prompt: string, maxTokens = 12): string {
  const ids = tokenizer.encode(prompt);
  const said = [...generate(model, [ids], { maxTokens })].map(({ id }) => id);
  return prompt + tokenizer.decode(said);
}

const stage = pretrainStage({
  model,
  batches: batchesOf(sentence),
  sample: () => Promise.resolve(say("the cat")),
});
const steps = 100, lr = cosineSchedule({ peak: 1e-2, warmup: 5, steps });
const run = { ...printingRun(20, ["loss", "grad_norm"]), folder };
// Ctrl-C or a crash costs nothing: with `resume`, the same call goes on from the newest checkpoint.
await train(stage, { steps, lr, sampleEvery: 50, checkpointEvery: 50, resume: true }, run);

model.save(join(folder, "model")); // a Hugging Face folder
await tokenizer.save(join(folder, "model"));
console.log(`${folder}: ${[...Deno.readDirSync(folder)].map(({ name }) => name).join(", ")}`);
assert.match(say("the cat"), /^the cat sat on the mat\./);
