// llama.cpp on the same weights: `node llama_cpp.mjs FOLDER MODEL.gguf THREADS STREAMS PROMPT_TOKENS NEW_TOKENS RUNS`, where
// FOLDER has node-llama-cpp installed. The last line of stdout is how many tokens a second the streams got, at best.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [folder, modelPath, ...rest] = process.argv.slice(2);
const [threads, streams, promptTokens, newTokens, runs] = rest.map(Number);
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
const context = await model.createContext({
  contextSize: 2 * (promptTokens + newTokens),
  sequences: streams,
  batchSize: 512,
  threads,
});
const sequences = Array.from({ length: streams }, () => context.getSequence());
const vocabulary = [...model.iterateAllTokens()].length;

// Time runs from when all streams have their first token, as for the engine.
let waiting, start, tokens;
async function generate(sequence, stream, run) {
  await sequence.clearHistory();
  const prompt = Array.from(
    { length: promptTokens },
    (_, i) => 3 + (run + 31 * stream + 7 * i) % (vocabulary - 3),
  );
  let count = 0;
  for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    if (count === 0 && --waiting === 0) start = performance.now();
    else if (start !== undefined) tokens++;
    if (++count >= newTokens) break;
  }
}

let best = 0;
for (let run = 0; run < runs; run++) {
  [waiting, start, tokens] = [streams, undefined, 0];
  await Promise.all(sequences.map((sequence, stream) => generate(sequence, stream, run)));
  best = Math.max(best, tokens * 1000 / (performance.now() - start));
}
console.log(best);
process.exit(0);
