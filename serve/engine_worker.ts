/**
 * The engine's thread: takes orders, runs the engine, tells what came of it.
 *
 * Orders are read from a port between steps, without going back to the event loop: a turn of it costs more than a step of a
 * small model. The thread's own messages only wake it.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import { receiveMessageOnPort } from "node:worker_threads";
import { Engine, type Generation, type GenerationEvent, kvBytesPerToken } from "../engine/mod.ts";
import { Decoder } from "../nn/mod.ts";
import { device } from "../tensor/mod.ts";
import type { AnswerToken } from "./answer.ts";
import type {
  EngineDescription,
  EngineEnd,
  EngineFigures,
  EngineOrder,
  EngineReport,
  EngineRequest,
  EngineSource,
  EngineTokens,
} from "./protocol.ts";

/** An engine, and who asked for what. */
class EngineThread implements Disposable {
  readonly description: EngineDescription;
  readonly #decoder: Decoder;
  readonly #engine: Engine;
  readonly #source: EngineSource;
  readonly #requests = new Map<number, Generation>();
  readonly #ids = new Map<Generation, number>();

  constructor(source: EngineSource) {
    this.#source = source;
    if (source.threads !== undefined) device().threads = source.threads;
    const { dtype } = source;
    this.#decoder = Decoder.load(source.model, { train: false, ...(dtype ? { dtype } : {}) });
    const { spec } = this.#decoder;
    const bytesPerToken = kvBytesPerToken(spec, this.#decoder.dtype);
    this.#engine = new Engine(this.#decoder, {
      maxRunning: source.maxRunning,
      maxWaiting: source.maxRequests,
      ...(source.kvBytes === undefined || bytesPerToken === 0
        ? {}
        : { kvTokens: Math.floor(source.kvBytes / bytesPerToken) }),
    });
    const { kvBlocks, blockTokens } = this.#engine.metrics();
    this.description = {
      context: this.#engine.longest,
      vocab: spec.vocab,
      kvTokens: kvBlocks * blockTokens,
      dtype: this.#decoder.dtype,
      device: device().description,
      parameters: this.#decoder.namedParameters().values()
        .reduce((sum, weight) => sum + weight.size, 0),
    };
  }

  /** Whether anything is left to do. */
  get busy(): boolean {
    return this.#engine.busy;
  }

  add(id: number, request: EngineRequest): EngineEnd | null {
    try {
      const generation = this.#engine.add({
        ...request,
        logitBias: new Map(request.logitBias),
        topLogProbs: request.logprobs ?? 0,
        vocabularySize: Math.min(this.#source.vocabularySize, this.description.vocab),
      });
      this.#requests.set(id, generation);
      this.#ids.set(generation, id);
      return null;
    } catch (error) {
      return { kind: "end", id, reason: "abort", stop: null, failure: (error as Error).message };
    }
  }

  cancel(id: number): void {
    const generation = this.#requests.get(id);
    if (generation === undefined) return;
    this.#engine.cancel(generation);
    this.#forget(id, generation);
  }

  /** One step of the engine, and what came of it. */
  step(): (EngineTokens | EngineEnd)[] {
    return this.#engine.step().flatMap(({ request, event }) => {
      const id = this.#ids.get(request);
      return id === undefined ? [] : [this.#report(id, request, event)];
    });
  }

  #report(id: number, request: Generation, event: GenerationEvent): EngineTokens | EngineEnd {
    if (event.kind === "finish") {
      this.#forget(id, request);
      const { reason, stopId = null, error } = event;
      const failed = reason === "error";
      return {
        kind: "end",
        id,
        reason: failed ? "abort" : reason,
        stop: stopId,
        failure: failed ? error?.message ?? "The engine failed." : null,
      };
    }
    const token: AnswerToken = {
      id: event.id,
      logprob: event.logProb,
      top: event.top.map(({ id, logProb }) => [id, logProb]),
    };
    const [choice] = request.choices, atMs = performance.now() - request.arrived;
    const tokens = { kind: "tokens", id, tokens: [token], atMs } as const;
    if (choice.logProbs.length > 1) return tokens;
    const queueMs = (choice.started ?? request.arrived) - request.arrived;
    return { ...tokens, start: { queueMs, cachedTokens: request.reusedTokens } };
  }

  #forget(id: number, generation: Generation): void {
    this.#requests.delete(id);
    this.#ids.delete(generation);
  }

  get figures(): EngineFigures {
    const { running, waiting, kvBlocksUsed, kvBlocks, counters } = this.#engine.metrics();
    return {
      running,
      waiting,
      kvUsage: kvBlocksUsed / kvBlocks,
      preemptions: counters.preemptions,
      prefixQueries: counters.prefixQueries,
      prefixHits: counters.prefixHits,
    };
  }

  [Symbol.dispose](): void {
    this.#engine[Symbol.dispose]();
    this.#decoder[Symbol.dispose]();
  }
}

let port: MessagePort | null = null;
let thread: EngineThread | null = null;

self.onmessage = ({ data }: MessageEvent<{ readonly port?: MessagePort }>): void => {
  port ??= data.port ?? null;
  work();
};

/** Takes orders and steps until there is nothing left to do. */
function work(): void {
  do {
    const events: (EngineTokens | EngineEnd)[] = [];
    let told = false;
    for (let order = nextOrder(); order !== null; order = nextOrder()) {
      const refusal = obey(order);
      if (refusal !== null) events.push(refusal);
      told = true;
    }
    if (thread?.busy) events.push(...thread.step());
    if (thread !== null && (told || events.length > 0)) {
      report({ kind: "step", events, figures: thread.figures });
    }
  } while (thread?.busy);
}

function nextOrder(): EngineOrder | null {
  // The types of node:worker_threads do not know that its ports are those of the web.
  const received = receiveMessageOnPort(port as never);
  return received === undefined ? null : received.message as EngineOrder;
}

function obey(order: EngineOrder): EngineEnd | null {
  switch (order.kind) {
    case "open":
      open(order.source);
      return null;
    case "add":
      return thread?.add(order.id, order.request) ?? null;
    case "cancel":
      thread?.cancel(order.id);
      return null;
    case "close":
      thread?.[Symbol.dispose]();
      thread = null;
      report({ kind: "closed" });
      return null;
  }
}

function open(source: EngineSource): void {
  try {
    thread = new EngineThread(source);
    report({ kind: "ready", description: thread.description });
  } catch (error) {
    const { name, message } = error as Error;
    report({ kind: "failed", name, message });
  }
}

function report(report: EngineReport): void {
  self.postMessage(report);
}
