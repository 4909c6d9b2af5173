/** How many distinct words keep their ids: text repeats few words very often (Zipf). */
const capacity = 1 << 16;

/** Words already encoded; emptied when full, which bounds memory without bookkeeping per look-up. */
export class WordCache {
  readonly #ids = new Map<string, readonly number[]>();

  /** The ids of a word, from the cache or by `encode`. */
  get(word: string, encode: (word: string) => readonly number[]): readonly number[] {
    let ids = this.#ids.get(word);
    if (ids === undefined) {
      ids = encode(word);
      if (this.#ids.size >= capacity) this.#ids.clear();
      this.#ids.set(word, ids);
    }
    return ids;
  }
}
