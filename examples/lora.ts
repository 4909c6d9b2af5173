/** Fine-tuning with low-rank adapters: the model stays as it is, and two small matrices beside each of its own learn. */
import { addLora, Decoder, generate } from "@denotron/denotron";
import { constantSchedule, pretrainStage, train } from "@denotron/denotron/train";
import assert from "node:assert/strict";
import { batchesOf, modelThatKnows, printingRun, tokenizer } from "./support.ts";

using known = await modelThatKnows(2);
// Frozen weights need no gradients.
using model = Decoder.load({ spec: known.spec, entries: known.state() }, { train: false });
const lora = addLora(model, { rank: 4, alpha: 16, targets: /attention|ffn/ });
const trained = [...lora.arena.parameters.values()].reduce((sum, { size }) => sum + size, 0);
const all = [...known.namedParameters().values()].reduce((sum, { size }) => sum + size, 0);
console.log(`${trained} numbers learn beside ${all}`);

function say(prompt: string): string {
  const ids = [...generate(model, [tokenizer.encode(prompt)], { maxTokens: 12 })];
  return prompt + tokenizer.decode(ids.map(({ id }) => id));
}
const before = say("the ");
const stage = pretrainStage({ model, batches: batchesOf("the dog sat on the log. ") });
const options = { steps: 80, lr: constantSchedule({ peak: 2e-2 }) };
await train(stage, options, printingRun(40));

lora.merge(); // as fast as without adapters; unmerge() puts every bit back
console.log(`before: ${before}\nafter:  ${say("the ")}`);
assert.match(before, /cat/);
assert.match(say("the "), /dog sat on the log/);
lora.unmerge();
