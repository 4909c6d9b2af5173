/**
 * Which sequences compute how many tokens in the next step. Pure policy: no tensors, no clock.
 *
 * @module
 */
import type { BlockPool } from "./blocks.ts";
import { type Chain, chainStart, type PrefixIndex } from "./prefix.ts";
import type { Sequence } from "./sequence.ts";

/** The next `count` pending tokens of a sequence. */
export interface Work {
  readonly sequence: Sequence;
  readonly count: number;
}

/** One step: first the copies, then the work, all of it in one forward pass. */
export interface Plan {
  /** Blocks whose contents go to another block, because a sequence is about to write where others read. */
  readonly copies: readonly { readonly from: number; readonly to: number }[];
  /** What to compute. */
  readonly work: readonly Work[];
  /** Sequences that run for the first time, or again. */
  readonly admitted: readonly Sequence[];
  /** Sequences that lost their blocks to others and wait again. */
  readonly preempted: readonly Sequence[];
}

/** Limits of a scheduler. */
export interface SchedulerOptions {
  /** Tokens of a block. */
  readonly blockTokens: number;
  /** Most sequences that run at a time. */
  readonly maxRunning: number;
  /** Most tokens of one step; longer prompts are computed in pieces. At least `maxRunning`. */
  readonly maxBatchTokens: number;
  /** How many later arrivals of the next better priority a sequence lets pass, at most. */
  readonly patience: number;
}

/**
 * Continuous batching (Yu et al., "Orca", 2022) over blocks (Kwon et al., "PagedAttention", 2023). Sequences stand in one
 * line, by arrival + priority · patience: who arrives early enough is served before any later priority, so nobody starves.
 * Those first in line run. When memory is short, the last of those that run gives its blocks back and is computed again
 * later; the first one always goes on, so there is always progress.
 */
export class Scheduler {
  readonly #pool: BlockPool;
  readonly #prefix: PrefixIndex | null;
  readonly #options: SchedulerOptions;
  readonly #waiting: Sequence[] = [];
  readonly #running: Sequence[] = [];
  #arrivals = 0;

  /** Nothing to do yet. `prefix`: where to look for blocks that are computed already; null to compute all. */
  constructor(pool: BlockPool, prefix: PrefixIndex | null, options: SchedulerOptions) {
    if (options.maxRunning < 1 || options.maxBatchTokens < options.maxRunning) {
      throw new RangeError(
        `scheduler: steps of ${options.maxBatchTokens} tokens do not hold one for each running sequence ` +
          `(${options.maxBatchTokens} vs ${options.maxRunning}). Raise maxBatchTokens.`,
      );
    }
    [this.#pool, this.#prefix, this.#options] = [pool, prefix, options];
  }

  /** Sequences that run, in line. */
  get running(): readonly Sequence[] {
    return this.#running;
  }

  /** Sequences that wait, in line. */
  get waiting(): readonly Sequence[] {
    return this.#waiting;
  }

  /** Gives a sequence its place in line. Those that are forked later come right after it. */
  number(sequence: Sequence): void {
    sequence.order = this.#arrivals++ + sequence.priority * this.#options.patience;
  }

  /** A numbered sequence waits from now on. */
  add(sequence: Sequence): void {
    sequence.status = "waiting";
    insert(this.#waiting, sequence);
  }

  /** A sequence is done with: its blocks go back. */
  remove(sequence: Sequence): void {
    for (const list of [this.#running, this.#waiting]) {
      const at = list.indexOf(sequence);
      if (at >= 0) list.splice(at, 1);
    }
    this.#giveBack(sequence);
    sequence.status = "finished";
  }

  /**
   * `child`, numbered and of the same prompt, goes on from what `parent` has computed, sharing its blocks. Where no more
   * sequences may run, it waits instead. Returns whether it runs.
   */
  fork(parent: Sequence, child: Sequence): boolean {
    if (this.#running.length >= this.#options.maxRunning) {
      this.add(child);
      return false;
    }
    for (const block of parent.blocks) this.#pool.share(block);
    child.blocks.push(...parent.blocks);
    child.chains.push(...parent.chains);
    child.computed = parent.computed;
    child.status = "running";
    insert(this.#running, child);
    return true;
  }

  /** All that run give their blocks back and wait, in their old order. */
  restart(): void {
    while (this.#running.length > 0) this.#preempt(this.#running[0]);
  }

  /** What to do next. All of it must then be done, and `done()` be told. */
  next(): Plan {
    const copies: { from: number; to: number }[] = [], preempted: Sequence[] = [];
    // Those at the end of the line may be gone when their turn comes.
    for (let i = 0; i < this.#running.length; i++) {
      const sequence = this.#running[i];
      while (this.#missing(sequence) > this.#pool.available && sequence.status === "running") {
        preempted.push(this.#preempt(this.#running.at(-1)!));
      }
      const grows = sequence.status === "running" && this.#missing(sequence) > 0;
      if (grows) copies.push(...this.#grow(sequence));
    }
    const admitted = this.#admit(preempted);
    return { copies, work: this.#share(), admitted, preempted };
  }

  /** The tokens of a plan are computed. */
  done({ work }: Plan): void {
    for (const { sequence, count } of work) {
      sequence.computed += count;
      if (this.#prefix) this.#remember(sequence, this.#prefix);
    }
  }

  /** Tokens for each running sequence: one for those that generate, then as many as there is room for. */
  #share(): Work[] {
    let left = this.#options.maxBatchTokens;
    left -= this.#running.filter(({ pending }) => pending === 1).length;
    const work: Work[] = [];
    for (const sequence of this.#running) {
      const count = sequence.pending === 1 ? 1 : Math.min(sequence.pending, left);
      if (sequence.pending > 1) left -= count;
      if (count > 0) work.push({ sequence, count });
    }
    return work;
  }

  /** Moves the first in line from waiting to running while there is room. */
  #admit(preempted: Sequence[]): Sequence[] {
    const admitted: Sequence[] = [];
    let tokens = this.#running.reduce((sum, { pending }) => sum + pending, 0);
    while (this.#waiting.length > 0 && tokens < this.#options.maxBatchTokens) {
      const first = this.#waiting[0], last = this.#running.at(-1);
      if (!this.#start(first)) {
        // Who is worse in priority and in line makes room for who is better.
        const yields = last && last.priority > first.priority && last.order > first.order &&
          !admitted.includes(last);
        if (!yields) break;
        tokens -= last.pending;
        preempted.push(this.#preempt(last));
        continue;
      }
      tokens += first.pending;
      admitted.push(first);
    }
    return admitted;
  }

  /** Runs the first that waits, if there is room for all of its tokens. */
  #start(sequence: Sequence): boolean {
    const running = this.#running.length;
    if (running >= this.#options.maxRunning) return false;
    const found = this.#reusable(sequence);
    const idle = found.filter(({ block }) => this.#pool.references(block) === 0).length;
    const wanted = this.#blocksFor(sequence) - found.length;
    // A block for each of the others to grow into, so that nobody starts only to make room again.
    const spare = running;
    if (wanted + idle + spare > this.#pool.available) return false;
    for (const { block, chain } of found) {
      this.#pool.share(block);
      sequence.blocks.push(block);
      sequence.chains.push(chain);
    }
    sequence.computed = found.length * this.#options.blockTokens;
    if (sequence.generated === 0) sequence.reused = sequence.computed;
    for (let i = 0; i < wanted; i++) sequence.blocks.push(this.#pool.take());
    sequence.status = "running";
    this.#waiting.shift();
    insert(this.#running, sequence);
    return true;
  }

  /** Blocks that hold the first tokens of a sequence. Its last token is always computed: it says what follows. */
  #reusable({ tokens }: Sequence): { block: number; chain: Chain }[] {
    const found: { block: number; chain: Chain }[] = [], { blockTokens } = this.#options;
    let chain = chainStart;
    for (let end = blockTokens; this.#prefix && end < tokens.length; end += blockTokens) {
      const next = this.#prefix.find(chain, tokens.slice(end - blockTokens, end));
      if (!next) break;
      found.push(next);
      chain = next.chain;
    }
    return found;
  }

  #remember({ tokens, computed, blocks, chains }: Sequence, prefix: PrefixIndex): void {
    const { blockTokens } = this.#options;
    for (let i = chains.length; (i + 1) * blockTokens <= computed; i++) {
      const own = tokens.slice(i * blockTokens, (i + 1) * blockTokens);
      chains.push(prefix.add(chains.at(-1) ?? chainStart, own, blocks[i]));
    }
  }

  #blocksFor({ tokens }: Sequence): number {
    return Math.ceil(tokens.length / this.#options.blockTokens);
  }

  /** The block that a sequence writes to next, if others read it. */
  #sharedBlock({ computed, blocks }: Sequence): number | null {
    const at = Math.floor(computed / this.#options.blockTokens);
    return at < blocks.length && this.#pool.references(blocks[at]) > 1 ? at : null;
  }

  /** Blocks that a running sequence needs to take for its pending tokens. */
  #missing(sequence: Sequence): number {
    const more = this.#blocksFor(sequence) - sequence.blocks.length;
    return more + (this.#sharedBlock(sequence) === null ? 0 : 1);
  }

  #grow(sequence: Sequence): { from: number; to: number }[] {
    const copies: { from: number; to: number }[] = [], shared = this.#sharedBlock(sequence);
    if (shared !== null) {
      const from = sequence.blocks[shared], to = this.#pool.take();
      this.#pool.release(from);
      sequence.blocks[shared] = to;
      copies.push({ from, to });
    }
    while (sequence.blocks.length < this.#blocksFor(sequence)) {
      sequence.blocks.push(this.#pool.take());
    }
    return copies;
  }

  #preempt(sequence: Sequence): Sequence {
    this.#running.splice(this.#running.indexOf(sequence), 1);
    this.#giveBack(sequence);
    this.add(sequence);
    return sequence;
  }

  /** From the last block to the first, so that the beginnings of texts stay for longest. */
  #giveBack(sequence: Sequence): void {
    for (const block of sequence.blocks.toReversed()) this.#pool.release(block);
    sequence.blocks.length = sequence.chains.length = sequence.computed = 0;
  }
}

/** Keeps a list in order. */
function insert(line: Sequence[], sequence: Sequence): void {
  let at = line.length;
  while (at > 0 && line[at - 1].order > sequence.order) at--;
  line.splice(at, 0, sequence);
}
