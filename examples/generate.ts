/** The engine: many prompts at once, one token at a time, draws that can be repeated, and none that depends on the others. */
import { Engine } from "@denotron/denotron";
import assert from "node:assert/strict";
import { modelThatKnows, tokenizer } from "./support.ts";

using model = await modelThatKnows(2);
using engine = new Engine(model, { weights: "bf16", maxRunning: 32 });
const encode = (text: string): number[] => [...tokenizer.encode(text)];

// Greedy, all at once.
const prompts = ["the cat", "sat on", "the mat. the"];
const answers = await engine.generate(prompts.map(encode), { maxTokens: 8 });
answers.forEach(({ ids }, i) => console.log(`${prompts[i]}|${tokenizer.decode(ids)}`));

// One request, as it grows, with log-probabilities.
const drawn = { prompt: encode("the"), maxTokens: 6, temperature: 1, topP: 0.9, seed: 7 };
const ids: number[] = [];
for await (const event of engine.add({ ...drawn, logProbs: true })) {
  if (event.kind !== "token") continue;
  ids.push(event.id);
  console.log(JSON.stringify(tokenizer.decode([event.id])), event.logProb?.toFixed(3));
}

// The same seed in the middle of other requests gives the same tokens.
const others = Array.from({ length: 8 }, (_, i) => engine.add({ ...drawn, seed: i }));
const again: number[] = [];
for await (const event of others[7]) if (event.kind === "token") again.push(event.id);
assert.deepEqual(again, ids);
for (const other of others) engine.cancel(other);
