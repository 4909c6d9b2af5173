// llama.cpp on the same weights: `node llama_cpp.mjs FOLDER MODEL.gguf THREADS PROMPT_TOKENS NEW_TOKENS RUNS`, where
// FOLDER has node-llama-cpp installed. The last line of stdout is how many tokens a second one stream got, at best.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, modelPath, ...rest] = process.argv.slice(2);
const [threads, promptTokens, newTokens, runs] = rest.map(Number);
const entry = createRequire(join(folder, "package.json")).resolve("node-llama-cpp");
const { getLlama, LlamaLogLevel } = await import(pathToFileURL(entry).href);

const llama = await getLlama({
  gpu: false,
  build: "never",
  progressLogs: false,
  logLevel: LlamaLogLevel.error,
  maxThreads: threads,
});
const model = await llama.loadModel({ modelPath });
const context = await model.createContext({ contextSize: 2 * (promptTokens + newTokens), threads });
const sequence = context.getSequence();

// Tokens per second from the first token on, as for the engine.
async function generate(run) {
  await sequence.clearHistory();
  const prompt = Array.from({ length: promptTokens }, (_, i) => 3 + run + 7 * i);
  let count = 0, start = 0;
  for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    if (count++ === 0) start = performance.now();
    if (count >= newTokens) break;
  }
  return (count - 1) * 1000 / (performance.now() - start);
}

let best = 0;
for (let run = 0; run < runs; run++) best = Math.max(best, await generate(run));
console.log(best);
process.exit(0);
