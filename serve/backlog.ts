/**
 * What the engine tells, on its way to the answers: a few answers at a time.
 *
 * A step of the engine brings a token for every answer. While the event loop writes all of them it looks for no new request,
 * and what it writes goes out only afterwards: somebody's first word would wait for everybody's next one. So only some
 * answers are told in a turn, and what comes for the others meanwhile is told together, which is also less to write.
 *
 * @module
 */
import type { EngineEnd, EngineTokens } from "./protocol.ts";

/** What an answer has not been told. */
interface Untold {
  tokens: EngineTokens | null;
  end: EngineEnd | null;
}

/** Answers that are told in a turn: at least so many, and so many of all that wait. */
const fewest = 8, share = 1 / 4;

/** Tokens and ends that wait for a turn of the event loop, in the order in which their answers came. */
export class Backlog {
  readonly #tell: (event: EngineTokens | EngineEnd) => void;
  readonly #untold = new Map<number, Untold>();
  #turn: ReturnType<typeof setTimeout> | undefined;

  /** Nothing waits; `tell` passes on what has waited. */
  constructor(tell: (event: EngineTokens | EngineEnd) => void) {
    this.#tell = tell;
  }

  /** Something that is to be told. */
  add(event: EngineTokens | EngineEnd): void {
    const untold = this.#untold.get(event.id) ?? { tokens: null, end: null };
    if (event.kind === "end") untold.end = event;
    else untold.tokens = untold.tokens === null ? event : joined(untold.tokens, event);
    this.#untold.set(event.id, untold);
  }

  /** Tells the first answers now, unless others are being told already, and the rest in later turns. */
  tell(): void {
    if (this.#turn !== undefined) return;
    let left = Math.max(fewest, Math.ceil(share * this.#untold.size));
    for (const [id, { tokens, end }] of this.#untold) {
      if (left-- === 0) break;
      this.#untold.delete(id);
      if (tokens !== null) this.#tell(tokens);
      if (end !== null) this.#tell(end);
    }
    this.tellSoon();
  }

  /** Tells everything in later turns. */
  tellSoon(): void {
    if (this.#untold.size === 0) return;
    this.#turn ??= setTimeout(() => {
      this.#turn = undefined;
      this.tell();
    });
  }

  /** Nobody is told any more. */
  clear(): void {
    clearTimeout(this.#turn);
    this.#turn = undefined;
    this.#untold.clear();
  }
}

/** Tokens that follow others. */
function joined(before: EngineTokens, { tokens, atMs }: EngineTokens): EngineTokens {
  return { ...before, tokens: [...before.tokens, ...tokens], atMs };
}
