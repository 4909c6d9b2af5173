import assert from "node:assert/strict";
import {
  Engine,
  type GenerationEvent,
  type GenerationRequestOptions,
  QueueFullError,
  RequestError,
  TextWatcher,
} from "../../engine/mod.ts";
import { Decoder } from "../../nn/mod.ts";
import { trainBpe } from "../../text/mod.ts";
import { llama } from "../nn/specs.ts";
import { alone, engineTest, run, tokensOf } from "./support.ts";

const prompt = [5, 6, 7];
const seed = 3;

/** What plain generation continues the prompt with. */
function continuation(decoder: Decoder): readonly number[] {
  return alone(decoder, prompt, { maxTokens: 20 });
}

engineTest("events are the tokens one by one, then the end", async () => {
  using decoder = new Decoder(llama, { train: false, seed });
  using engine = new Engine(decoder);
  const events: GenerationEvent[] = [];
  for await (const event of engine.add({ prompt, maxTokens: 3 })) events.push(event);
  assert.deepEqual(events.map(({ kind }) => kind), ["token", "token", "token", "finish"]);
  const ids = events.flatMap((event) => event.kind === "token" ? [event.id] : []);
  assert.deepEqual(ids, continuation(decoder).slice(0, 3));
  assert.deepEqual(events.at(-1), { kind: "finish", choice: 0, reason: "length" });
});

engineTest("a stop id ends a text and is not part of it, unless asked for", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  const tokens = continuation(decoder), stop = [tokens[4]], at = tokens.indexOf(stop[0]);
  using engine = new Engine(decoder);
  const [plain, kept] = [false, true].map((keepStop) =>
    engine.add({ prompt, maxTokens: 20, stop, keepStop, logProbs: true })
  );
  run(engine);
  assert.deepEqual(tokensOf(plain), tokens.slice(0, at));
  assert.deepEqual(tokensOf(kept), tokens.slice(0, at + 1));
  const [{ reason, stopId, logProbs }] = kept.completions;
  assert.deepEqual([reason, stopId, logProbs.length], ["stop", stop[0], at + 1]);
});

engineTest("log-probabilities are told to those who ask, and change nothing for others", () => {
  using decoder = new Decoder(llama, { train: false, seed: 3 });
  using engine = new Engine(decoder);
  const options = { prompt, maxTokens: 8, temperature: 1, seed: 5 };
  const [silent, told, top] = [{}, { logProbs: true }, { topLogProbs: 2 }].map((asked) =>
    engine.add({ ...options, ...asked })
  );
  run(engine);
  const [[plain], [own], [likeliest]] = [silent, told, top].map(({ completions }) => completions);
  assert.deepEqual(own.ids, plain.ids);
  assert.deepEqual([plain.logProbs, plain.top.flat(), own.top.flat()], [[], [], []]);
  assert.equal(own.logProbs.length, 8);
  assert.ok(own.logProbs.every((logProb) => logProb < 0));
  assert.deepEqual(likeliest.logProbs, own.logProbs);
});

engineTest("no text ends before the fewest tokens", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  const all = Array.from({ length: llama.vocab - 1 }, (_, id) => id);
  using engine = new Engine(decoder);
  const request = engine.add({ prompt, maxTokens: 20, minTokens: 6, stop: all });
  run(engine);
  const [{ ids, reason }] = request.completions;
  assert.deepEqual([ids.length, ids.every((id) => id === llama.vocab - 1), reason], [
    6,
    true,
    "stop",
  ]);
});

engineTest("texts end at the context, with the tokens of plain generation", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  const long = Array.from({ length: llama.context - 3 }, (_, i) => i % 90);
  using engine = new Engine(decoder);
  const request = engine.add({ prompt: long, maxTokens: 50 });
  run(engine);
  assert.deepEqual([tokensOf(request).length, request.completions[0].reason], [4, "length"]);
});

engineTest("a stop text ends a text wherever tokens cut it", () => {
  const tokenizer = trainBpe(["ab abc abd"], { vocabularySize: 260 }).tokenizer();
  const text = new TextWatcher(tokenizer, ["c ab"]);
  const ends = tokenizer.encode("abc abd").map((id) => text.push(id));
  assert.equal(ends.at(-1), true);
  assert.equal(text.take() + text.flush(), "ab");
  assert.equal(text.found, "c ab");
  using decoder = new Decoder(llama, { train: false, seed });
  const tokens = continuation(decoder);
  using engine = new Engine(decoder);
  const seen: number[] = [];
  const request = engine.add({
    prompt,
    maxTokens: 20,
    watch: () => (id) => seen.push(id) === 3,
  });
  run(engine);
  assert.deepEqual(tokensOf(request), tokens.slice(0, 3));
  assert.deepEqual([seen, request.completions[0].reason], [tokens.slice(0, 3), "stop"]);
});

engineTest("a request that fails ends alone", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  using engine = new Engine(decoder);
  const failing = engine.add({
    prompt,
    maxTokens: 20,
    watch: () => () => {
      throw new Error("the watcher broke");
    },
  });
  const forbidden = new Map(Array.from({ length: llama.vocab }, (_, id) => [id, -Infinity]));
  const impossible = engine.add({ prompt, maxTokens: 20, logitBias: forbidden });
  const good = engine.add({ prompt, maxTokens: 20 });
  run(engine);
  const endings = [failing, impossible].map((
    { completions: [{ reason, error }] },
  ) => [reason, error?.message]);
  assert.deepEqual(endings[0], ["error", "the watcher broke"]);
  assert.equal(endings[1][0], "error");
  assert.match(endings[1][1]!, /forbid every token/);
  assert.deepEqual(tokensOf(good), continuation(decoder));
  assert.equal(engine.metrics().kvBlocksUsed, 0);
  assert.deepEqual(engine.metrics().finished, { stop: 0, length: 1, abort: 0, error: 2 });
});

engineTest(
  "weights that are no numbers fail every request and leave the engine alive",
  async () => {
    using decoder = new Decoder(llama, { train: false, seed });
    using broken = new Decoder(llama, { train: false, seed });
    broken.norm.weight.fill(NaN);
    using engine = new Engine(broken);
    const [failed] = await engine.generate([prompt], { maxTokens: 3 });
    assert.deepEqual([failed.reason, failed.ids], ["error", []]);
    engine.refresh(decoder);
    const [good] = await engine.generate([prompt], { maxTokens: 20 });
    assert.deepEqual(good.ids, continuation(decoder));
  },
);

engineTest("a cancelled request frees its memory at once", async () => {
  using decoder = new Decoder(llama, { train: false, seed });
  using engine = new Engine(decoder);
  const controller = new AbortController();
  const first = engine.add({ prompt, maxTokens: 100, n: 2 });
  const second = engine.add({ prompt, maxTokens: 100, signal: controller.signal });
  for (let i = 0; i < 4; i++) engine.step();
  engine.cancel(first);
  assert.deepEqual(first.completions.map(({ reason }) => reason), ["abort", "abort"]);
  assert.equal(engine.metrics().running, 1);
  controller.abort();
  assert.equal(engine.metrics().kvBlocksUsed, 0);
  assert.equal(engine.busy, false);
  const reasons = (await second.wait()).map(({ reason, error }) => [reason, error?.name]);
  assert.deepEqual(reasons, [["abort", "AbortedError"]]);
});

engineTest("a request whose time is up ends with what it has", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  using engine = new Engine(decoder);
  const request = engine.add({ prompt, maxTokens: 100, deadlineMs: 0 });
  run(engine);
  const [{ reason, error }] = request.completions;
  assert.equal(reason, "abort");
  assert.match(error!.message, /not finished in time/);
});

engineTest("more requests than may wait are refused", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  using engine = new Engine(decoder, { maxWaiting: 2, maxRunning: 1 });
  for (let i = 0; i < 2; i++) engine.add({ prompt, maxTokens: 2 });
  assert.throws(() => engine.add({ prompt, maxTokens: 2 }), QueueFullError);
  run(engine);
  engine.add({ prompt, maxTokens: 2 });
});

engineTest("requests that make no sense name the option", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  using engine = new Engine(decoder, { kvTokens: 64 });
  const odd: Partial<GenerationRequestOptions>[] = [
    { prompt: [] },
    { prompt: new Array<number>(65).fill(1) },
    { prompt: [llama.vocab] },
    { maxTokens: -1 },
    { temperature: NaN },
    { topP: 0 },
    { n: 0 },
    { topLogProbs: 21 },
    { stop: [-1] },
    { logitBias: new Map([[1000, 1]]) },
  ];
  for (const option of odd) {
    assert.throws(
      () => engine.add({ prompt, maxTokens: 2, ...option }),
      (error) => error instanceof RequestError && error.parameter === Object.keys(option)[0],
      JSON.stringify(option),
    );
  }
  assert.equal(engine.busy, false);
});

engineTest("figures add up", async () => {
  using decoder = new Decoder(llama, { train: false, seed });
  using engine = new Engine(decoder);
  await engine.generate([prompt, [1]], { maxTokens: 5, n: 2 });
  await engine.generate([prompt], { maxTokens: 0 });
  const { counters, finished, histograms, running, waiting } = engine.metrics();
  assert.deepEqual([running, waiting], [0, 0]);
  assert.deepEqual([counters.promptTokens, counters.generationTokens, finished.length], [4, 20, 5]);
  assert.deepEqual([histograms.requestN.count, histograms.requestN.sum], [3, 5]);
  assert.equal(histograms.timeToFirstToken.count, 4);
  assert.equal(histograms.interTokenLatency.count, 16);
  assert.equal(histograms.iterationTokens.count, counters.steps);
});

engineTest("an engine that goes ends what it was asked for", () => {
  using decoder = new Decoder(llama, { train: false, seed });
  const engine = new Engine(decoder);
  const request = engine.add({ prompt, maxTokens: 100 });
  engine.step();
  engine[Symbol.dispose]();
  engine[Symbol.dispose]();
  assert.equal(request.completions[0].reason, "abort");
});
