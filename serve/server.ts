/**
 * What a server knows and decides, whatever carries the requests to it: who may ask, whether there is room, what becomes of
 * a request.
 *
 * @module
 */
import { ChatTemplate, type Tokenizer } from "../text/mod.ts";
import type { EngineHost } from "./engine_host.ts";
import { ApiError } from "./errors.ts";
import { ServerFigures } from "./figures.ts";
import { ApiKeys } from "./keys.ts";
import type { ServerLimits } from "./limits.ts";
import type { Log } from "./log.ts";
import type { PromptModel } from "./prompts.ts";
import type { EngineDescription } from "./protocol.ts";

/** What a server is made of. */
export interface ServerOptions {
  /** What clients call the model. */
  readonly model: string;
  /** The model's tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Its engine, which stays the caller's. */
  readonly host: EngineHost;
  /** Keys that open it; none for a server that is open to everyone who reaches it. */
  readonly keys: readonly string[];
  /** Web pages of these origins may ask, beside its own. */
  readonly origins: readonly string[];
  /** What keeps clients from taking it down. */
  readonly limits: ServerLimits;
  /** Where its lines go. */
  readonly log: Log;
}

/** Whether a server answers. */
export type ServerState = "loading" | "ready" | "draining" | "broken";

/** Room for a request; give it back when the request is over. */
export interface Admission extends Disposable {
  /** What answers can be made with. */
  readonly model: PromptModel;
  /** From now on time counts: `cut` is called when it is up, with the error to answer with. */
  limit(cut: (error: ApiError) => void): void;
  /** The first token has come: from now on only the whole request's time counts. */
  begun(): void;
}

/** How long answers that were cut off have to say so. */
const farewellMs = 2000;
/** How soon a client may try again, in seconds. */
const retrySeconds = { loading: 5, draining: 10, full: 1 };

/** A server. */
export class Server {
  /** What it is made of. */
  readonly options: ServerOptions;
  /** Who may ask. */
  readonly keys: ApiKeys;
  /** What `/metrics` shows. */
  readonly figures: ServerFigures;
  /** When it began, in seconds of Unix time. */
  readonly created: number = Math.floor(Date.now() / 1000);
  readonly #perKey = new Map<string, number>();
  #description: EngineDescription | null = null;
  #template: ChatTemplate | null = null;
  #draining = false;
  #requests = 0;
  #idle = Promise.withResolvers<void>();

  /** It answers as soon as the engine is ready. */
  constructor(options: ServerOptions) {
    this.options = options;
    this.keys = new ApiKeys(options.keys);
    this.figures = new ServerFigures(options.host, () => this.#requests);
    options.host.ready.then((description) => void (this.#description = description), () => {});
    this.#idle.resolve();
  }

  /** Whether it answers, and if not, why. */
  get state(): ServerState {
    const { host, limits } = this.options;
    if (host.dead !== null || host.silentMs > limits.watchdogMs) return "broken";
    if (this.#draining) return "draining";
    return this.#description === null ? "loading" : "ready";
  }

  /** What the engine is like; null while it loads. */
  get description(): EngineDescription | null {
    return this.#description;
  }

  /** Requests that are being answered. */
  get requests(): number {
    return this.#requests;
  }

  /** Throws ApiError 404 for a model that is not the one. */
  checkModel(name: string | undefined): void {
    if (name === undefined || name === this.options.model) return;
    throw new ApiError(
      `The model '${name.slice(0, 200)}' does not exist. This server has '${this.options.model}'.`,
      { status: 404, code: "model_not_found", param: "model", type: "not_found_error" },
    );
  }

  /** What prompts are made for. Throws ApiError 503 while the engine is not ready. */
  get model(): PromptModel {
    this.#checkState();
    const { context, vocab } = this.#description!;
    const { tokenizer } = this.options;
    const template = (): ChatTemplate => this.#template ??= ChatTemplate.for(tokenizer);
    return {
      tokenizer,
      // Parsed for the first conversation, not for each.
      get template() {
        return template();
      },
      context,
      vocab,
    };
  }

  /** Makes room for a request of so many answers. Throws ApiError 503 or 429 when there is none. */
  admit(answers: number, key: string | null): Admission {
    const { model } = this, { limits, host } = this.options;
    if (host.running + answers > limits.maxRequests) {
      throw new ApiError(
        `The server is busy with ${host.running} answers (at most ${limits.maxRequests}). Try again.`,
        { status: 503, code: "server_overloaded", retryAfterSeconds: retrySeconds.full },
      );
    }
    const own = key === null ? 0 : this.#perKey.get(key) ?? 0;
    if (own >= limits.maxRequestsPerKey) {
      throw new ApiError(`This key has ${own} requests running already. Wait for one to end.`, {
        status: 429,
        type: "rate_limit_error",
        code: "rate_limit_exceeded",
        retryAfterSeconds: retrySeconds.full,
      });
    }
    return this.#enter(model, key);
  }

  #enter(model: PromptModel, key: string | null): Admission {
    const { queueTimeoutMs, requestTimeoutMs } = this.options.limits;
    if (this.#requests++ === 0) this.#idle = Promise.withResolvers<void>();
    this.#count(key, 1);
    let first: ReturnType<typeof setTimeout> | undefined;
    let whole: ReturnType<typeof setTimeout> | undefined;
    let over = false;
    return {
      model,
      limit(cut) {
        const after = (ms: number, what: string): ReturnType<typeof setTimeout> =>
          setTimeout(() => cut(tooLate(what, ms)), ms);
        whole = after(requestTimeoutMs, "The answer was not complete");
        first = after(queueTimeoutMs, "The answer had not begun");
      },
      begun: () => clearTimeout(first),
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        clearTimeout(whole);
        clearTimeout(first);
        this.#count(key, -1);
        if (--this.#requests === 0) this.#idle.resolve();
      },
    };
  }

  #count(key: string | null, change: number): void {
    if (key === null) return;
    const count = (this.#perKey.get(key) ?? 0) + change;
    if (count === 0) this.#perKey.delete(key);
    else this.#perKey.set(key, count);
  }

  #checkState(): void {
    const { state } = this;
    if (state === "ready") return;
    if (state === "broken") {
      throw new ApiError("The engine does not work any more. See the server's log.", {
        status: 503,
        code: "engine_dead",
      });
    }
    const why = state === "loading" ? "The model is being loaded." : "The server is shutting down.";
    throw new ApiError(why, {
      status: 503,
      code: state,
      retryAfterSeconds: retrySeconds[state],
    });
  }

  /**
   * Takes no more requests, waits up to `timeoutMs` for those that run, and then cuts them off where they are.
   * Returns whether all of them could finish.
   */
  async drain(timeoutMs: number): Promise<boolean> {
    this.#draining = true;
    const finished = await within(timeoutMs, this.#idle.promise);
    this.options.host.abortAll();
    if (!finished) await within(farewellMs, this.#idle.promise);
    return finished;
  }
}

/** Whether something happens in time. */
async function within(ms: number, event: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), ms);
  const happened = await Promise.race([event.then(() => true), late.promise]);
  clearTimeout(timer);
  return happened;
}

function tooLate(what: string, ms: number): ApiError {
  return new ApiError(`${what} after ${ms / 1000} s.`, {
    status: 503,
    code: "timeout",
    retryAfterSeconds: retrySeconds.full,
  });
}
