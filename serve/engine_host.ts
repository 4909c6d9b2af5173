/**
 * The engine, on a thread of its own: while it computes, the server goes on answering.
 *
 * @module
 */
import { Backlog, Untold } from "./backlog.ts";
import type { EngineThreadStart } from "./engine_worker.ts";
import { cutResult, type EngineEvent, type EngineResult, type EngineRun } from "./engine_run.ts";
import { ApiError } from "./errors.ts";
import {
  type EngineDescription,
  type EngineEnd,
  type EngineFigures,
  type EngineOrder,
  type EngineReport,
  type EngineRequest,
  type EngineSource,
  type EngineStep,
  type EngineTokens,
  sharedNow,
  unpackTokens,
} from "./protocol.ts";

/** The engine cannot work, or does not any more. */
export class EngineDeadError extends Error {
  /** The class name, for logs. */
  override readonly name = "EngineDeadError";
}

const idle: EngineFigures = {
  running: 0,
  waiting: 0,
  kvUsage: 0,
  preemptions: 0,
  prefixQueries: 0,
  prefixHits: 0,
};

/** An answer that has not ended: whom to tell, and what he has not been told. */
interface Run {
  readonly take: (event: EngineEvent) => void;
  readonly untold: Untold;
}

/** Closing is not waited for any longer. */
const closeMs = 2000;

/** A thread with an engine. */
export class EngineHost implements AsyncDisposable {
  /** What the engine is like, once it is ready; fails with what keeps it from being so. */
  readonly ready: Promise<EngineDescription>;
  readonly #worker: Worker;
  readonly #orders: MessagePort;
  readonly #idle = new Int32Array(new SharedArrayBuffer(4));
  readonly #opening = Promise.withResolvers<EngineDescription>();
  readonly #closed = Promise.withResolvers<void>();
  readonly #runs = new Map<number, Run>();
  readonly #backlog = new Backlog((event) => this.#pass(event));
  #figures = idle;
  #lastReportMs = performance.now();
  #dead: Error | null = null;
  #nextId = 0;

  /** Begins to load the model. */
  constructor(source: EngineSource) {
    this.ready = this.#opening.promise;
    // Whoever waits for it is told; nobody has to.
    this.ready.catch(() => {});
    // Beside this file, whose name ends in .ts, but in an npm package in .js.
    const program = import.meta.url.replace(/engine_host(?=\.\w+$)/, "engine_worker");
    this.#worker = new Worker(program, { type: "module" });
    this.#worker.onmessage = ({ data }: MessageEvent<EngineReport>) => this.#take(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#die(new EngineDeadError(`The engine stopped working: ${event.message}`));
    };
    const { port1, port2 } = new MessageChannel();
    this.#orders = port1;
    const start: EngineThreadStart = { orders: port2, idle: this.#idle };
    this.#worker.postMessage(start, [port2]);
    this.#tell({ kind: "open", source });
  }

  /** Answers that have not ended. */
  get running(): number {
    return this.#runs.size;
  }

  /** Figures of the engine after its last step. */
  get figures(): EngineFigures {
    return this.#figures;
  }

  /** What keeps the engine from working for ever; null while nothing does. */
  get dead(): Error | null {
    return this.#dead;
  }

  /** For how many ms answers have waited without a sign of the engine. */
  get silentMs(): number {
    return this.#runs.size === 0 ? 0 : performance.now() - this.#lastReportMs;
  }

  /** Begins an answer; `take` is told what comes of it. */
  run(request: EngineRequest, take: (event: EngineEvent) => void): EngineRun {
    const id = this.#nextId++;
    if (this.#runs.size === 0) this.#lastReportMs = performance.now();
    this.#runs.set(id, { take, untold: new Untold() });
    // Nobody is told of an end before he has what he asked for.
    if (this.#dead !== null) queueMicrotask(() => this.#end(id, cutResult(this.#dead)));
    else this.#tell({ kind: "add", id, request, sentMs: sharedNow() });
    return { cancel: (error) => this.#cancel(id, error) };
  }

  /** Ends all answers where they are. */
  abortAll(): void {
    for (const id of this.#runs.keys()) this.#cancel(id, null);
  }

  /** Ends an answer that has not ended. */
  #cancel(id: number, error: Error | null): void {
    if (!this.#runs.has(id)) return;
    this.#tell({ kind: "cancel", id });
    this.#end(id, cutResult(error));
  }

  #end(id: number, result: EngineResult): void {
    const run = this.#runs.get(id);
    this.#runs.delete(id);
    run?.take(result);
  }

  #take(report: EngineReport): void {
    this.#lastReportMs = performance.now();
    switch (report.kind) {
      case "ready":
        return this.#opening.resolve(report.description);
      case "failed":
        return this.#die(Object.assign(new EngineDeadError(report.message), { name: report.name }));
      case "closed":
        return this.#closed.resolve();
      case "step":
        this.#figures = report.figures;
        return this.#takeStep(report);
    }
  }

  /** First tokens go ahead of all others: somebody waits for an answer to begin. */
  #takeStep({ first, tokens, others }: EngineStep): void {
    for (const event of first) this.#pass(event);
    for (const event of unpackTokens(tokens)) this.#passLater(event);
    for (const event of others) this.#passLater(event);
    if (first.length > 0) this.#backlog.tellSoon();
    else this.#backlog.tell();
  }

  #passLater(event: EngineTokens | EngineEnd): void {
    const run = this.#runs.get(event.id);
    if (run !== undefined) this.#backlog.add(run.untold, event);
  }

  /** To the answer, if it has not ended. */
  #pass(event: EngineTokens | EngineEnd): void {
    if (event.kind === "tokens") this.#runs.get(event.id)?.take(event);
    else this.#end(event.id, resultOf(event));
  }

  #die(error: Error): void {
    this.#dead ??= error;
    this.#opening.reject(error);
    for (const id of this.#runs.keys()) this.#end(id, cutResult(error));
  }

  /** Orders are read between two steps; another message wakes a thread that has nothing to do. */
  #tell(order: EngineOrder): void {
    this.#orders.postMessage(order);
    if (Atomics.exchange(this.#idle, 0, 0) === 1) this.#worker.postMessage({});
  }

  /** Ends the thread; answers that still run fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    const alive = this.#dead === null;
    this.#die(new EngineDeadError("The engine was closed."));
    if (alive) {
      this.#tell({ kind: "close" });
      const timer = setTimeout(() => this.#closed.resolve(), closeMs);
      await this.#closed.promise;
      clearTimeout(timer);
    }
    this.#backlog.clear();
    this.#orders.close();
    this.#worker.terminate();
  }
}

function resultOf({ reason, stop, failure }: EngineEnd): EngineResult {
  const error = failure === null ? null : new ApiError(failure, {
    status: 500,
    code: "generation_failed",
  });
  return { kind: "end", reason, stop, error };
}
