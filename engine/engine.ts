/**
 * Batched generation for rollouts, evaluation and serving.
 *
 * @module
 */
import { activationType, type Decoder, type WeightFormat } from "../nn/mod.ts";
import { scope } from "../tensor/mod.ts";
import { BlockPool } from "./blocks.ts";
import { ActiveGeneration } from "./generation.ts";
import { KvBlocks, kvBytesPerToken } from "./kv_blocks.ts";
import { type Draw, Ledger } from "./ledger.ts";
import { histogramsOf, type MetricsSnapshot } from "./metrics.ts";
import { GenerationModel } from "./model.ts";
import { PrefixIndex } from "./prefix.ts";
import {
  AbortedError,
  checkRequest,
  type Completion,
  type Generation,
  type GenerationOptions,
  type GenerationRequestOptions,
  QueueFullError,
  type StepEvent,
} from "./request.ts";
import { Runner } from "./runner.ts";
import { type Drawn, drawTokens } from "./sampler.ts";
import { type Plan, Scheduler } from "./scheduler.ts";
import { Turns } from "./turns.ts";

/** Sizes and limits of an engine. */
export interface EngineOptions {
  /** How its copy of the weights is stored; the decoder's type by default. */
  readonly weights?: WeightFormat;
  /** Tokens of a block of keys and values, a power of two of at least 16; 16 by default. */
  readonly blockTokens?: number;
  /** Tokens of all sequences together that it has memory for; by default 16 times the context, at most 1 GiB. */
  readonly kvTokens?: number;
  /** Most sequences that run at a time; 64 by default. */
  readonly maxRunning?: number;
  /** Most sequences that wait; more are refused. 1024 by default. */
  readonly maxWaiting?: number;
  /** Most tokens of one step; longer prompts are computed in pieces. 512 by default, at least `maxRunning`. */
  readonly maxBatchTokens?: number;
  /** Whether prompts that begin like an earlier text reuse what was computed of it; true by default. */
  readonly prefixReuse?: boolean;
  /** How many later arrivals of the next better priority a request lets pass at most; 100 by default. */
  readonly patience?: number;
  /** Whether steps that decode are captured and replayed, with the same results; true by default. */
  readonly graphs?: boolean;
}

/** A completion of one of several prompts. */
export interface PromptCompletion extends Completion {
  /** The number of the prompt. */
  readonly prompt: number;
}

const mostDefaultKvBytes = 1024 ** 3;
/** How often others get a turn, such as the readers of a socket. */
const turnMs = 8;

/**
 * Continues many prompts at once. It has a copy of the decoder's weights, which `refresh()` brings up to date. It knows
 * token ids only. What a request gets does not depend on what else runs: greedy tokens are those of nn's `generate()`.
 *
 * @example
 * ```ts
 * import { Engine } from "@denotron/denotron/engine";
 * import { Decoder, type DecoderSpec } from "@denotron/denotron/nn";
 * import assert from "node:assert/strict";
 *
 * const spec: DecoderSpec = {
 *   vocab: 32, dim: 16, context: 64, headDim: 8, tied: true,
 *   norm: { kind: "rms_norm", eps: 1e-5 },
 *   rope: { theta: 10_000, fraction: 1, scaling: null },
 *   blocks: [{ attention: { kind: "gqa", heads: 2, kvHeads: 1 }, ffn: null }],
 * };
 * using decoder = new Decoder(spec, { train: false });
 * using engine = new Engine(decoder);
 * const [first, second] = await engine.generate([[1, 2], [3]], { maxTokens: 4, temperature: 1 });
 * assert.equal(first.ids.length + second.ids.length, 8);
 * for await (const event of engine.add({ prompt: [1, 2, 3], maxTokens: 2, logProbs: true })) {
 *   if (event.kind === "token") assert.ok(event.logProb! <= 0);
 * }
 * ```
 */
export class Engine implements Disposable {
  readonly #model: GenerationModel;
  readonly #memory: KvBlocks;
  readonly #runner: Runner;
  readonly #pool: BlockPool;
  readonly #prefix: PrefixIndex | null;
  readonly #scheduler: Scheduler;
  readonly #ledger: Ledger;
  readonly #blockTokens: number;
  readonly #maxWaiting: number;
  #version = 0;
  #refreshSeconds = 0;
  #lastId = 0;
  #driving = false;

  /** An engine with nothing to do. Throws RangeError for sizes that make no sense. */
  constructor(decoder: Decoder, options: EngineOptions = {}) {
    const { weights = decoder.dtype, blockTokens = 16, maxRunning = 64, maxWaiting = 1024 } =
      options;
    const { maxBatchTokens = Math.max(512, maxRunning), prefixReuse = true, patience = 100 } =
      options;
    const { spec, context } = decoder, dtype = activationType(weights);
    const most = Math.floor(mostDefaultKvBytes / Math.max(1, kvBytesPerToken(spec, dtype)));
    const { kvTokens = Math.max(context, Math.min(16 * context, most)) } = options;
    const blocks = Math.floor(kvTokens / blockTokens);
    if (!(blocks >= 1)) {
      throw new RangeError(
        `engine: memory for ${kvTokens} tokens holds no block of ${blockTokens} (${kvTokens} vs ${blockTokens}). ` +
          `Raise kvTokens.`,
      );
    }
    [this.#blockTokens, this.#maxWaiting] = [blockTokens, maxWaiting];
    this.#prefix = prefixReuse ? new PrefixIndex() : null;
    this.#pool = new BlockPool(blocks, this.#prefix);
    const limits = { blockTokens, maxRunning, maxBatchTokens, patience };
    this.#scheduler = new Scheduler(this.#pool, this.#prefix, limits);
    this.#ledger = new Ledger(this.#scheduler, Math.min(context, blocks * blockTokens));
    this.#model = new GenerationModel(decoder, weights);
    this.#memory = new KvBlocks(spec, { blocks, blockTokens, dtype });
    this.#runner = new Runner(this.#model, this.#memory, options.graphs ?? true);
  }

  /** The longest text that it can compute, in tokens: the model's context, or what its memory holds. */
  get longest(): number {
    return Math.min(this.#model.context, this.#pool.count * this.#blockTokens);
  }

  /** Whether any request is not finished. */
  get busy(): boolean {
    return this.#ledger.requests.size > 0;
  }

  /**
   * Puts a request in line. It is worked on while someone iterates over it, or by `step()`.
   * Throws RequestError for options that make no sense, QueueFullError when too many wait.
   */
  add(options: GenerationRequestOptions): Generation {
    const waiting = this.#scheduler.waiting.length, { n = 1 } = options;
    if (waiting + n > this.#maxWaiting) {
      throw new QueueFullError(
        `engine: ${waiting} texts wait already (${waiting} + ${n} vs ${this.#maxWaiting}). Try again later.`,
      );
    }
    return this.#open(options);
  }

  #open(options: GenerationRequestOptions): ActiveGeneration {
    checkRequest(options, { vocab: this.#model.spec.vocab, longest: this.longest });
    const run = () => this.#drive();
    const request = new ActiveGeneration(++this.#lastId, options, performance.now(), run);
    this.#ledger.open(request);
    if (options.signal?.aborted) this.cancel(request);
    options.signal?.addEventListener("abort", () => this.cancel(request), { once: true });
    return request;
  }

  /** Ends a request: its memory is free at once. Nothing happens when it has ended. */
  cancel(request: Generation): void {
    const error = new AbortedError(`engine: request ${request.id} was cancelled.`);
    const active = [...this.#ledger.requests].find((other) => other === request);
    if (active) this.#ledger.endAll(active, { reason: "abort", error });
  }

  /** One forward pass over whatever is in line; what came of it. */
  step(): StepEvent[] {
    this.#ledger.expire(performance.now());
    const plan = this.#scheduler.next();
    this.#ledger.note(plan, performance.now());
    const told: StepEvent[] = [];
    if (plan.work.length === 0) return told;
    try {
      this.#compute(plan, told);
    } catch (error) {
      // Whatever failed, the next step finds an engine in order.
      const requests = [...this.#ledger.requests].filter(({ choices }) =>
        choices.some(({ sequence }) => plan.work.some((work) => work.sequence === sequence))
      );
      for (const request of requests) {
        this.#ledger.endAll(request, { reason: "error", error: error as Error }, told);
      }
    }
    return told;
  }

  #compute(plan: Plan, told: StepEvent[]): void {
    const { draws, drawn } = this.#draw(plan), now = performance.now();
    draws.forEach(({ choice }, i) => this.#ledger.deliver(choice, drawn[i], now, told));
  }

  /** A token for each sequence that is computed to its end. */
  #draw(plan: Plan): { draws: readonly Draw[]; drawn: (Drawn | null)[] } {
    const made: { draws: readonly Draw[]; drawn: (Drawn | null)[] } = { draws: [], drawn: [] };
    // Nothing is returned from the scope: it would search whole requests for tensors.
    scope(() => {
      for (const { from, to } of plan.copies) this.#memory.copy(from, to);
      const logits = this.#runner.logits(plan.work); // [wanted, vocab]
      this.#scheduler.done(plan);
      made.draws = this.#ledger.draws(plan, performance.now());
      made.drawn = drawTokens(logits, made.draws);
    });
    return made;
  }

  /** Steps until nothing is left to do, with turns for others. */
  async #drive(): Promise<void> {
    if (this.#driving) return;
    this.#driving = true;
    const turns = new Turns(turnMs);
    while (this.busy) {
      this.step();
      await Promise.resolve();
      if (this.busy && turns.isDue) await turns.give();
    }
    this.#driving = false;
  }

  /**
   * Continues prompts; the completions come in the order of the prompts, those of one prompt in that of its choices.
   * Prompt i draws as sample `sample` + i · n. Any number of prompts may wait.
   * Throws RequestError for options that make no sense.
   */
  async generate(
    prompts: readonly (readonly number[])[],
    options: GenerationOptions,
  ): Promise<PromptCompletion[]> {
    const { n = 1, sample = 0 } = options;
    const requests = prompts.map((prompt, i) =>
      this.#open({ ...options, prompt, sample: sample + i * n })
    );
    const completions = await Promise.all(requests.map((request) => request.wait()));
    return completions.flatMap((choices, prompt) =>
      choices.map((choice) => ({ ...choice, prompt }))
    );
  }

  /**
   * Takes over the weights that a decoder of the same spec has now, and forgets what was computed with the old ones: texts
   * on their way keep their tokens and are computed again. `version` says which weights they are. Returns the seconds it
   * took. Throws ShapeError for another spec.
   */
  refresh(decoder: Decoder, version: number = this.#version + 1): number {
    const start = performance.now();
    this.#runner.clear();
    this.#model.refresh(decoder);
    this.#scheduler.restart();
    this.#prefix?.clear();
    this.#pool.dropIdle();
    this.#version = version;
    this.#refreshSeconds = (performance.now() - start) / 1000;
    return this.#refreshSeconds;
  }

  /** Which weights it has; see `refresh()`. */
  get version(): number {
    return this.#version;
  }

  /** What it does now and has done so far. */
  metrics(): MetricsSnapshot {
    const { metrics } = this.#ledger;
    const { promptTokens, generationTokens, prefixQueries, prefixHits, preemptions, steps } =
      metrics;
    return {
      running: this.#scheduler.running.length,
      waiting: this.#scheduler.waiting.length,
      kvBlocksUsed: this.#pool.used,
      kvBlocks: this.#pool.count,
      blockTokens: this.#blockTokens,
      kvBytes: this.#memory.bytes,
      replayedSteps: this.#runner.replayed,
      weightVersion: this.#version,
      refreshSeconds: this.#refreshSeconds,
      counters: { promptTokens, generationTokens, prefixQueries, prefixHits, preemptions, steps },
      finished: { ...metrics.finished },
      histograms: histogramsOf(metrics),
    };
  }

  /** Cancels what is not finished and gives the memory back. Safe to call twice. */
  [Symbol.dispose](): void {
    for (const request of this.#ledger.requests) this.cancel(request);
    this.#runner[Symbol.dispose]();
    this.#model[Symbol.dispose]();
    this.#memory[Symbol.dispose]();
  }
}
