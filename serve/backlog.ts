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

/**
 * What an answer has not been told. It belongs to the answer: a map whose entries come and go with every token leaves old
 * tables behind, and through them the garbage collector keeps what was told long ago.
 */
export class Untold {
  /** Tokens, joined. */
  tokens: EngineTokens | null = null;
  /** What comes after them. */
  end: EngineEnd | null = null;
}

/** Answers that are told in a turn: at least so many, and so many of all that wait. */
const fewest = 8, share = 1 / 4;

/** Tokens and ends that wait for a turn of the event loop, in the order in which their answers came. */
export class Backlog {
  readonly #tell: (event: EngineTokens | EngineEnd) => void;
  #line: Untold[] = [];
  #turn: ReturnType<typeof setTimeout> | undefined;

  /** Nothing waits; `tell` passes on what has waited. */
  constructor(tell: (event: EngineTokens | EngineEnd) => void) {
    this.#tell = tell;
  }

  /** Something that is to be told to the answer whose `untold` it is. */
  add(untold: Untold, event: EngineTokens | EngineEnd): void {
    if (untold.tokens === null && untold.end === null) this.#line.push(untold);
    if (event.kind === "end") untold.end = event;
    else untold.tokens = untold.tokens === null ? event : joined(untold.tokens, event);
  }

  /** Tells the first answers now, unless others are being told already, and the rest in later turns. */
  tell(): void {
    if (this.#turn !== undefined) return;
    let left = Math.max(fewest, Math.ceil(share * this.#line.length));
    while (left-- > 0 && this.#line.length > 0) {
      const untold = this.#line.shift()!, { tokens, end } = untold;
      untold.tokens = untold.end = null;
      if (tokens !== null) this.#tell(tokens);
      if (end !== null) this.#tell(end);
    }
    this.tellSoon();
  }

  /** Tells everything in later turns. */
  tellSoon(): void {
    if (this.#line.length === 0) return;
    this.#turn ??= setTimeout(() => {
      this.#turn = undefined;
      this.tell();
    });
  }

  /** Nobody is told any more. */
  clear(): void {
    clearTimeout(this.#turn);
    this.#turn = undefined;
    this.#line = [];
  }
}

/** Tokens that follow others. */
function joined(before: EngineTokens, { tokens, atMs }: EngineTokens): EngineTokens {
  return { ...before, tokens: [...before.tokens, ...tokens], atMs };
}
