import assert from "node:assert/strict";
import fc from "fast-check";
import { BlockPool } from "../../engine/blocks.ts";
import { PrefixIndex } from "../../engine/prefix.ts";
import { Scheduler } from "../../engine/scheduler.ts";
import { Sequence } from "../../engine/sequence.ts";

const blockTokens = 4;

/** What a block would hold: for each row, the whole text up to the token whose keys and values are there. */
type Memory = Map<number, string>;

/** A scheduler whose steps are played out on texts instead of tensors. */
class Play {
  readonly prefix: PrefixIndex | null;
  readonly pool: BlockPool;
  readonly scheduler: Scheduler;
  readonly memory: Memory = new Map();
  /** New tokens that each sequence still makes. */
  readonly left = new Map<Sequence, number>();
  readonly children = new Map<Sequence, Sequence[]>();
  steps = 0;

  constructor(blocks: number, maxRunning: number, maxBatchTokens: number, reuse: boolean) {
    this.prefix = reuse ? new PrefixIndex() : null;
    this.pool = new BlockPool(blocks, this.prefix);
    const options = { blockTokens, maxRunning, maxBatchTokens, patience: 3 };
    this.scheduler = new Scheduler(this.pool, this.prefix, options);
  }

  add(prompt: readonly number[], priority: number, tokens: number, n: number): Sequence {
    const [first, ...others] = Array.from({ length: n }, () => new Sequence(prompt, { priority }));
    for (const sequence of [first, ...others]) {
      this.scheduler.number(sequence);
      this.left.set(sequence, tokens);
    }
    this.scheduler.add(first);
    this.children.set(first, others);
    return first;
  }

  end(sequence: Sequence): void {
    this.scheduler.remove(sequence);
    this.left.delete(sequence);
    // Choices that were not forked yet never begin.
    for (const child of this.children.get(sequence) ?? []) this.left.delete(child);
    this.children.delete(sequence);
  }

  #place(sequence: Sequence, position: number): number {
    return sequence.blocks[Math.floor(position / blockTokens)] * blockTokens +
      position % blockTokens;
  }

  step(): void {
    this.steps++;
    const plan = this.scheduler.next();
    for (const { from, to } of plan.copies) {
      for (let row = 0; row < blockTokens; row++) {
        this.memory.set(to * blockTokens + row, this.memory.get(from * blockTokens + row)!);
      }
    }
    for (const { sequence, count } of plan.work) {
      for (let position = sequence.computed; position < sequence.computed + count; position++) {
        const block = sequence.blocks[Math.floor(position / blockTokens)];
        assert.equal(
          this.pool.references(block),
          1,
          "a sequence writes to a block that others read",
        );
        this.memory.set(
          this.#place(sequence, position),
          sequence.tokens.slice(0, position + 1).join(),
        );
      }
    }
    this.scheduler.done(plan);
    this.check();
    for (const { sequence } of plan.work) if (sequence.pending === 0) this.#draw(sequence);
  }

  #draw(sequence: Sequence): void {
    for (const child of sequence.generated === 0 ? this.children.get(sequence) ?? [] : []) {
      if (this.scheduler.fork(sequence, child)) this.#push(child);
    }
    this.children.delete(sequence);
    this.#push(sequence);
  }

  #push(sequence: Sequence): void {
    sequence.tokens.push(sequence.tokens.length * 7 % 5);
    const left = this.left.get(sequence)! - 1;
    this.left.set(sequence, left);
    if (left === 0) this.end(sequence);
  }

  /** Every running sequence finds all that was computed of it, and blocks are counted right. */
  check(): void {
    const references = new Map<number, number>();
    for (const sequence of this.scheduler.running) {
      for (let position = 0; position < sequence.computed; position++) {
        const held = this.memory.get(this.#place(sequence, position));
        assert.equal(
          held,
          sequence.tokens.slice(0, position + 1).join(),
          "a block holds another text",
        );
      }
      for (const block of sequence.blocks) references.set(block, (references.get(block) ?? 0) + 1);
    }
    for (let block = 0; block < this.pool.count; block++) {
      assert.equal(
        this.pool.references(block),
        references.get(block) ?? 0,
        `references of block ${block}`,
      );
    }
    assert.equal(this.pool.used, references.size);
    assert.ok(this.scheduler.waiting.every(({ blocks }) => blocks.length === 0));
  }
}

const request = fc.record({
  prompt: fc.array(fc.nat(2), { minLength: 1, maxLength: 14 }),
  priority: fc.integer({ min: -1, max: 2 }),
  tokens: fc.integer({ min: 1, max: 10 }),
  n: fc.integer({ min: 1, max: 3 }),
  wait: fc.nat(3),
  cancel: fc.option(fc.nat(12), { freq: 4 }),
});

Deno.test("random arrivals, cancellations and little memory: no block is lost or wrongly shared, everyone finishes", () => {
  const sizes = fc.record({
    blocks: fc.integer({ min: 6, max: 14 }), // the longest text needs 6
    maxRunning: fc.integer({ min: 1, max: 5 }),
    spare: fc.nat(10),
    reuse: fc.boolean(),
  });
  fc.assert(
    fc.property(
      sizes,
      fc.array(request, { maxLength: 25 }),
      ({ blocks, maxRunning, spare, reuse }, requests) => {
        const play = new Play(blocks, maxRunning, maxRunning + spare, reuse);
        const cancels: { at: number; sequence: Sequence }[] = [];
        for (const { prompt, priority, tokens, n, wait, cancel } of requests) {
          for (let i = 0; i < wait; i++) play.step();
          const sequence = play.add(prompt, priority, tokens, n);
          if (cancel !== null) cancels.push({ at: play.steps + cancel, sequence });
          for (const { at, sequence } of cancels) {
            if (at <= play.steps && sequence.status !== "finished") play.end(sequence);
          }
        }
        const limit = play.steps + 40 * (1 + requests.length) * 10;
        while (play.left.size > 0) {
          play.step();
          assert.ok(play.steps < limit, `${play.left.size} sequences never finish`);
        }
        assert.equal(play.pool.used, 0);
        assert.equal(play.pool.available, blocks);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("a request of low priority is served in spite of an endless stream of better ones", () => {
  const play = new Play(12, 2, 8, true);
  const low = play.add([1, 2, 3], 5, 4, 1);
  for (let i = 0; i < 200 && low.status !== "finished"; i++) {
    play.add([i % 3, 1, 1], 0, 4, 1);
    play.step();
  }
  assert.equal(low.status, "finished");
});

Deno.test("better priorities are served first, and take the place of worse ones", () => {
  const play = new Play(12, 1, 8, false);
  const low = play.add([1, 2, 3], 9, 30, 1);
  play.step();
  assert.equal(low.status, "running");
  const high = play.add([1], 0, 2, 1);
  play.step();
  assert.equal(low.status, "waiting");
  assert.equal(high.status, "running");
});

Deno.test("generating goes on while long prompts are computed in pieces", () => {
  const play = new Play(60, 4, 8, false);
  const short = play.add([1], 0, 100, 1);
  play.step();
  play.add(new Array<number>(80).fill(1), -1, 1, 1);
  const before = short.generated;
  for (let i = 0; i < 5; i++) play.step();
  assert.equal(short.generated, before + 5);
});

Deno.test("unused contents are kept until memory is needed, the oldest going first", () => {
  const prefix = new PrefixIndex(), pool = new BlockPool(3, prefix);
  const [a, b, c] = [pool.take(), pool.take(), pool.take()];
  prefix.add(0, [1], a);
  prefix.add(0, [2], b);
  for (const block of [a, b, c]) pool.release(block);
  assert.equal(pool.available, 3);
  assert.equal(pool.take(), c, "what nobody may ask for goes first");
  pool.share(prefix.find(0, [1])!.block);
  pool.release(a);
  assert.equal(pool.take(), b, "used less recently");
  assert.equal(prefix.find(0, [2]), null);
  assert.equal(prefix.find(0, [1])!.block, a);
  pool.take();
  assert.throws(() => pool.take(), /all 3 are in use/);
});
