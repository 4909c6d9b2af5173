/**
 * How long models take to read prompts and to add tokens.
 *
 * @module
 */
import { Decoder, type DecoderSpec } from "../../nn/mod.ts";
import type { Pause } from "../interruption.ts";
import type { BatchTime, Scenario } from "./space.ts";

/** A batch of sequences on a decoder, ready to be timed. */
export interface DecodeRun extends Disposable {
  /** Reads all prompts, from nothing. */
  prefill(): void;
  /** Brings all sequences to half the length that they will get; not timed. */
  settle(): void;
  /** Adds one token to every sequence. */
  decode(): void;
}

/** A way to run a decoder: costs are measured on the way that will be used. */
export interface DecodePath {
  /** What it is called; costs of one way are not those of another. */
  readonly name: string;
  /** Prepares a batch. */
  open(decoder: Decoder, batch: number, scenario: Scenario): DecodeRun;
}

/** How decoders are timed. */
export interface RoundOptions {
  /** How decoding is run. */
  readonly path: DecodePath;
  /** How often everything is timed; 9 by default. */
  readonly rounds?: number;
  /** Called before every round. */
  readonly pause?: Pause;
}

/** How times of architectures are taken. */
export interface TimingOptions extends RoundOptions {
  /** What models compute in; f32 by default. */
  readonly dtype?: "f32" | "bf16";
}

/** Decoding steps of a round. The fastest counts: a step is short, and whatever interrupts it is no part of it. */
const stepsOfRound = 8;

/**
 * Times models of these architectures with random weights, taking turns. The result is by round, model and batch size;
 * a round before the first warms everything up and does not count.
 */
export async function measureTimes(
  specs: readonly DecoderSpec[],
  scenario: Scenario,
  { dtype = "f32", ...options }: TimingOptions,
): Promise<BatchTime[][][]> {
  using stack = new DisposableStack();
  const decoders = specs.map((spec) => stack.use(new Decoder(spec, { dtype, train: false })));
  return await timeDecoders(decoders, scenario, options);
}

/** Times decoders, taking turns; by round, decoder and batch size. */
export async function timeDecoders(
  decoders: readonly Decoder[],
  scenario: Scenario,
  { path, rounds = 9, pause }: RoundOptions,
): Promise<BatchTime[][][]> {
  using stack = new DisposableStack();
  const runs = decoders.map((decoder) =>
    scenario.batchSizes.map((batch) => stack.use(path.open(decoder, batch, scenario)))
  );
  const timed = (): BatchTime[][] => runs.map((own) => own.map(timeRun));
  timed();
  const times: BatchTime[][][] = [];
  while (times.length < rounds) {
    await pause?.();
    times.push(timed());
  }
  return times;
}

function timeRun(run: DecodeRun): BatchTime {
  const prefill = seconds(() => run.prefill());
  run.settle();
  const steps = Array.from({ length: stepsOfRound }, () => seconds(() => run.decode()));
  return { prefill, decode: Math.min(...steps) };
}

function seconds(work: () => void): number {
  const start = performance.now();
  work();
  return (performance.now() - start) / 1000;
}
