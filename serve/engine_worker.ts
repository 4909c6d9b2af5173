/**
 * The engine's thread: takes orders, runs the engine, tells what came of it.
 *
 * Orders are read from a port between steps, without going back to the event loop: a turn of it costs more than a step of a
 * small model. The thread's own messages only wake it.
 *
 * @module
 */
import { receiveMessageOnPort } from "node:worker_threads";
import {
  Engine,
  type FinishEvent,
  type Generation,
  kvBytesPerToken,
  type TokenEvent,
} from "../engine/mod.ts";
import { Decoder } from "../nn/mod.ts";
import { device } from "../tensor/mod.ts";
import {
  type EngineDescription,
  type EngineEnd,
  type EngineFigures,
  type EngineOrder,
  type EngineReport,
  type EngineRequest,
  type EngineSource,
  type EngineTokens,
  packTokens,
  sharedNow,
} from "./protocol.ts";

/** A request that the engine works on. */
interface Entry {
  readonly id: number;
  readonly generation: Generation;
  /** When it was handed to this thread, and how long it then lay until a step was over. */
  readonly sentMs: number;
  readonly lagMs: number;
  begun: boolean;
}

/** With fewer parameters, a thread costs the others more than it brings. */
const parametersOfThread = 4e6;

/** How many of some cores are of use to a model. Of many, one is left to HTTP. */
function threadsFor(parameters: number, cores: number): number {
  const free = cores > 4 ? cores - 1 : cores;
  return Math.min(free, Math.max(1, Math.ceil(parameters / parametersOfThread)));
}

/** An engine, and who asked for what. */
class EngineThread implements Disposable {
  readonly description: EngineDescription;
  readonly #decoder: Decoder;
  readonly #engine: Engine;
  /** Ids that the tokenizer knows; models may have more. */
  readonly #known: number;
  readonly #byId = new Map<number, Entry>();
  readonly #byGeneration = new Map<Generation, Entry>();

  constructor(source: EngineSource) {
    const { dtype } = source;
    this.#decoder = Decoder.load(source.model, { train: false, ...(dtype ? { dtype } : {}) });
    const { spec } = this.#decoder;
    const parameters = this.#decoder.namedParameters().values()
      .reduce((sum, weight) => sum + weight.size, 0);
    device().threads = source.threads ?? threadsFor(parameters, device().threads);
    device().favour(Deno.pid); // of the program's main thread, which talks to clients
    this.#known = Math.min(source.vocabularySize, spec.vocab);
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
      parameters,
    };
  }

  /** Whether anything is left to do. */
  get busy(): boolean {
    return this.#engine.busy;
  }

  add(id: number, request: EngineRequest, sentMs: number): EngineEnd | null {
    try {
      const generation = this.#engine.add({
        ...request,
        logitBias: new Map(request.logitBias),
        logProbs: request.logprobs !== null,
        topLogProbs: request.logprobs ?? 0,
        vocabularySize: this.#known,
      });
      const lagMs = sharedNow() - sentMs;
      const entry = { id, generation, sentMs, lagMs, begun: false };
      this.#byId.set(id, entry);
      this.#byGeneration.set(generation, entry);
      return null;
    } catch (error) {
      return { kind: "end", id, reason: "abort", stop: null, failure: (error as Error).message };
    }
  }

  cancel(id: number): void {
    const entry = this.#byId.get(id);
    if (entry === undefined) return;
    this.#engine.cancel(entry.generation);
    this.#forget(entry);
  }

  /** One step of the engine, and what came of it. */
  step(): (EngineTokens | EngineEnd)[] {
    return this.#engine.step().flatMap(({ request, event }) => {
      const entry = this.#byGeneration.get(request);
      if (entry === undefined) return [];
      return [
        event.kind === "token" ? tokenOf(entry, event, this.#known) : this.#endOf(entry, event),
      ];
    });
  }

  #endOf(entry: Entry, { reason, stopId, error }: FinishEvent): EngineEnd {
    this.#forget(entry);
    const failed = reason === "error";
    return {
      kind: "end",
      id: entry.id,
      reason: failed ? "abort" : reason,
      stop: stopId ?? null,
      failure: failed ? error?.message ?? "The engine failed." : null,
    };
  }

  #forget({ id, generation }: Entry): void {
    this.#byId.delete(id);
    this.#byGeneration.delete(generation);
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

/** `known`: ids below it are told of. */
function tokenOf(entry: Entry, event: TokenEvent, known: number): EngineTokens {
  const { id, generation: { queueMs, reusedTokens }, sentMs, lagMs } = entry;
  const top = event.top.filter(({ id }) => id < known)
    .map(({ id, logProb }) => [id, logProb] as const);
  const tokens = [{ id: event.id, logprob: event.logProb ?? NaN, top }];
  const report = { kind: "tokens", id, tokens, atMs: sharedNow() - sentMs } as const;
  if (entry.begun) return report;
  entry.begun = true;
  return { ...report, start: { queueMs: lagMs + queueMs, cachedTokens: reusedTokens } };
}

/** The first message; later ones are empty. */
export interface EngineThreadStart {
  /** Where orders come from. */
  readonly orders: MessagePort;
  /** One i32: 1 while the thread has nothing to do and does not look for orders. */
  readonly idle: Int32Array;
}

/** What is used of a thread's global scope: its own types would be those of every file of the package. */
interface ThreadScope {
  onmessage: (event: MessageEvent<EngineThreadStart | object>) => void;
  postMessage(report: EngineReport): void;
}
const threadScope = globalThis as unknown as ThreadScope;

let start: EngineThreadStart | null = null;
let thread: EngineThread | null = null;

threadScope.onmessage = ({ data }) => {
  start ??= data as EngineThreadStart;
  work(start);
};

/** Takes orders and steps until there is nothing left to do. */
function work(start: EngineThreadStart): void {
  while (true) {
    const refusals: EngineEnd[] = [];
    let told = false;
    for (let order = nextOrder(start); order !== null; order = nextOrder(start)) {
      const refusal = obey(order);
      if (refusal !== null) refusals.push(refusal);
      told = true;
    }
    if (!told && !thread?.busy) return;
    if (thread !== null) tell([...refusals, ...thread.step()], thread.figures);
  }
}

/** Tells what came of a step, tokens by how they are told. */
function tell(events: readonly (EngineTokens | EngineEnd)[], figures: EngineFigures): void {
  const first: EngineTokens[] = [], plain: EngineTokens[] = [];
  const others: (EngineTokens | EngineEnd)[] = [];
  for (const event of events) {
    if (event.kind === "end") others.push(event);
    else if (event.start !== undefined) first.push(event);
    else if (event.tokens[0].top.length > 0) others.push(event);
    else plain.push(event);
  }
  report({ kind: "step", first, tokens: packTokens(plain), others, figures });
}

/** The next order. A thread without work says that it has to be woken, and only then looks for the last time. */
function nextOrder({ orders, idle }: EngineThreadStart): EngineOrder | null {
  Atomics.store(idle, 0, thread?.busy ? 0 : 1);
  // The types of node:worker_threads do not know that its ports are those of the web.
  const received = receiveMessageOnPort(orders as never);
  return received === undefined ? null : received.message as EngineOrder;
}

function obey(order: EngineOrder): EngineEnd | null {
  switch (order.kind) {
    case "open":
      open(order.source);
      return null;
    case "add":
      return thread?.add(order.id, order.request, order.sentMs) ?? null;
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
  threadScope.postMessage(report);
}
