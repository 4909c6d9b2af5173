/**
 * Cutting a text at tokens that are written out in it, such as `<|eot_id|>`.
 *
 * @module
 */

/** Ordinary text, or the id of a token that stands there. */
export type Section = string | number;

/** Finds written-out tokens in a text; the longest wins where several begin at one place. */
export class SectionSplitter {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #pattern: RegExp | undefined;

  /** `tokens`: the spellings to look for, with their ids. */
  constructor(tokens: Iterable<readonly [string, number]>) {
    this.#ids = new Map([...tokens].filter(([spelling]) => spelling !== ""));
    const longestFirst = [...this.#ids.keys()].sort((a, b) => b.length - a.length);
    if (longestFirst.length > 0) {
      this.#pattern = new RegExp(longestFirst.map((text) => RegExp.escape(text)).join("|"), "gu");
    }
  }

  /** The text as alternating ordinary sections and token ids; empty sections are left out. */
  split(text: string): Section[] {
    if (this.#pattern === undefined) return text === "" ? [] : [text];
    const sections: Section[] = [];
    let end = 0;
    for (const match of text.matchAll(this.#pattern)) {
      if (match.index > end) sections.push(text.slice(end, match.index));
      sections.push(this.#ids.get(match[0])!);
      end = match.index + match[0].length;
    }
    if (end < text.length) sections.push(text.slice(end));
    return sections;
  }
}
