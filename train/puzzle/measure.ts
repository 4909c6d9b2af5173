/**
 * How long models take to read prompts and to add tokens.
 *
 * @module
 */
import { Decoder, type DecoderSpec } from "../../nn/mod.ts";
import { noGrad, scope, Tensor } from "../../tensor/mod.ts";
import type { BatchTime, Scenario } from "./space.ts";

/** A batch of sequences on a decoder, ready to be timed. */
export interface DecodeRun extends Disposable {
  /** Reads all prompts, from nothing. */
  prefill(): void;
  /** Adds one token to every sequence, which is about half as long as it will get. */
  decode(): void;
}

/** A way to run a decoder: costs are measured on the way that will be used. */
export interface DecodePath {
  /** What it is called; costs of one way are not those of another. */
  readonly name: string;
  /** Prepares a batch. */
  open(decoder: Decoder, batch: number, scenario: Scenario): DecodeRun;
}

/** What `generate()` does for each token: the decoder's own KV cache, all sequences in one packed forward pass. */
export const cachePath: DecodePath = {
  name: "kv-cache",
  open(decoder, batch, { promptTokens, newTokens }) {
    const capacity = promptTokens + newTokens;
    const cache = decoder.cache({ batch, capacity });
    const middle = promptTokens + Math.floor(newTokens / 2);
    const step = (tokens: number): void =>
      noGrad(() =>
        scope(() => {
          const lengths = new Array<number>(batch).fill(tokens), { vocab } = decoder.spec;
          const ids = Int32Array.from({ length: batch * tokens }, (_, i) => i * 7919 % vocab);
          const tensor = Tensor.from(ids, [ids.length], { dtype: "i32" });
          const hidden = decoder.hidden(tensor, { cache, lengths });
          const last = lengths.map((_, s) => (s + 1) * tokens - 1);
          const rows = Tensor.from(last, [batch], { dtype: "i32" }).embedding(hidden);
          decoder.project(rows).data();
        })
      );
    return {
      prefill() {
        cache.truncate(0);
        step(promptTokens);
      },
      decode() {
        // Keys of the second half are those of a run before: the time does not depend on what they are.
        while (cache.lengths[0] < middle) step(middle - cache.lengths[0]);
        cache.truncate(middle);
        step(1);
        cache.truncate(middle);
      },
      [Symbol.dispose]: () => cache[Symbol.dispose](),
    };
  },
};

/** How times are taken. */
export interface TimingOptions {
  /** How decoding is run. */
  readonly path: DecodePath;
  /** What models compute in; f32 by default. */
  readonly dtype?: "f32" | "bf16";
  /** How often everything is timed; 9 by default. */
  readonly rounds?: number;
}

/** Decoding steps that one figure is the mean of: a single one is too short to time. */
const stepsAtOnce = 4;

/**
 * Times models of these architectures with random weights, taking turns. The result is by round, model and batch size;
 * a round before the first warms everything up and does not count.
 */
export function measureTimes(
  specs: readonly DecoderSpec[],
  scenario: Scenario,
  { path, dtype = "f32", rounds = 9 }: TimingOptions,
): BatchTime[][][] {
  using stack = new DisposableStack();
  const decoders = specs.map((spec) => stack.use(new Decoder(spec, { dtype, train: false })));
  return timeDecoders(decoders, scenario, path, rounds);
}

/** Times decoders, taking turns; by round, decoder and batch size. */
export function timeDecoders(
  decoders: readonly Decoder[],
  scenario: Scenario,
  path: DecodePath,
  rounds: number,
): BatchTime[][][] {
  using stack = new DisposableStack();
  const runs = decoders.map((decoder) =>
    scenario.batchSizes.map((batch) => stack.use(path.open(decoder, batch, scenario)))
  );
  const timed = (): BatchTime[][] => runs.map((own) => own.map(timeRun));
  timed();
  return Array.from({ length: rounds }, timed);
}

function timeRun(run: DecodeRun): BatchTime {
  const prefill = seconds(() => run.prefill());
  run.decode(); // brings the sequences to their length
  const decode = seconds(() => {
    for (let i = 0; i < stepsAtOnce; i++) run.decode();
  });
  return { prefill, decode: decode / stepsAtOnce };
}

function seconds(work: () => void): number {
  const start = performance.now();
  work();
  return (performance.now() - start) / 1000;
}
