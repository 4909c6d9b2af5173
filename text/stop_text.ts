/**
 * Ending a streamed text where one of some texts begins.
 *
 * @module
 */

/**
 * Lets text through up to the first stop text. What may yet become one is held back, so that no part of it shows, however
 * the text is cut into pieces.
 *
 * @example
 * ```ts
 * import { StopText } from "@denotron/denotron/text";
 * import assert from "node:assert/strict";
 *
 * const stop = new StopText(["END"]);
 * assert.deepEqual(["one E", "N", "D two"].map((piece) => stop.push(piece)), ["one ", "", ""]);
 * assert.ok(stop.stopped);
 * ```
 */
export class StopText {
  readonly #stops: readonly string[];
  #pending = "";
  #found: string | null = null;

  /** Empty stop texts are ignored. */
  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== "");
  }

  /** Whether a stop text was found: nothing comes through any more. */
  get stopped(): boolean {
    return this.#found !== null;
  }

  /** The stop text that was found. */
  get found(): string | null {
    return this.#found;
  }

  /** Takes the next piece and returns what is certain to come before any stop text. */
  push(piece: string): string {
    if (this.stopped) return "";
    const text = this.#pending + piece, begun = text.length - this.#begun(text);
    const found = this.#find(text);
    // A stop text that began earlier may still be completed, and then it is the first.
    if (found <= begun) this.#found = this.#stopAt(text, found);
    const end = Math.min(found, begun);
    this.#pending = this.stopped ? "" : text.slice(end);
    return text.slice(0, end);
  }

  /** Ends the text: what was held back in vain. */
  flush(): string {
    const rest = this.#pending, found = this.#find(rest);
    this.#pending = "";
    this.#found ??= this.#stopAt(rest, found);
    return rest.slice(0, found);
  }

  /** Where the first whole stop text begins; the length of the text when there is none. */
  #find(text: string): number {
    const found = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    return Math.min(text.length, ...found);
  }

  /** The stop text that begins at a place, if one does. */
  #stopAt(text: string, at: number): string | null {
    return this.#stops.find((stop) => text.startsWith(stop, at)) ?? null;
  }

  /** Length of the longest end of the text that begins a stop text. */
  #begun(text: string): number {
    const longest = Math.max(0, ...this.#stops.map((stop) => stop.length - 1));
    for (let length = Math.min(longest, text.length); length > 0; length--) {
      const end = text.slice(-length);
      if (this.#stops.some((stop) => stop.startsWith(end))) return length;
    }
    return 0;
  }
}
