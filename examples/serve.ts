/** A server in this process, and OpenAI's own client that talks to it. */
import { Tokenizer } from "@denotron/denotron";
import { defaultLimits, EngineHost, listen } from "@denotron/denotron/serve";
import assert from "node:assert/strict";
import OpenAI from "openai";
import { modelThatKnows, tokenizer } from "./support.ts";

const folder = Deno.makeTempDirSync({ prefix: "denotron-example-" });
{
  using model = await modelThatKnows(2);
  model.save(folder);
  await tokenizer.save(folder);
}
const loaded = await Tokenizer.load(folder);
// The engine has a thread of its own.
await using host = new EngineHost({
  ...{ model: folder, vocabularySize: loaded.vocabularySize, maxRunning: 16, maxRequests: 64 },
});
const { url, shutdown } = await listen({
  ...{ model: "cat", tokenizer: loaded, host, keys: [], origins: [], limits: defaultLimits },
  log: () => {},
}, { port: 0 });

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const prompt = "the cat", request = { model: "cat", prompt, max_tokens: 8, temperature: 0 };
const { choices, usage } = await client.completions.create(request);
console.log(`${prompt}${choices[0].text}`, usage);

let streamed = "";
for await (const part of await client.completions.create({ ...request, stream: true })) {
  streamed += part.choices[0].text;
}
assert.equal(streamed, choices[0].text);
assert.match(streamed, /^ sat on the/);
await shutdown(1000);
Deno.removeSync(folder, { recursive: true });
