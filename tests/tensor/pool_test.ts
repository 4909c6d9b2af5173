import assert from "node:assert/strict";
import fc from "fast-check";
import { type MemoryBlock, type MemorySegment, Pool } from "../../tensor/backend/pool.ts";
import { OutOfMemoryError } from "../../tensor/mod.ts";

const MiB = 2 ** 20;

/** A system that hands out address ranges, `room` bytes at most. */
class FakeSystem {
  readonly live = new Set<MemorySegment>();
  #next = 2 ** 30;

  constructor(public room = Infinity) {}

  get bytes(): number {
    return [...this.live].reduce((sum, segment) => sum + segment.bytes, 0);
  }

  allocate(bytes: number): MemorySegment {
    if (this.bytes + bytes > this.room) throw new RangeError("the system has no more");
    const segment = { address: this.#next, bytes, buffer: null, start: 0 };
    this.#next += bytes + 4096;
    this.live.add(segment);
    return segment;
  }

  release(segment: MemorySegment): void {
    assert.ok(this.live.delete(segment), "a segment was released twice");
  }
}

const addressOf = ({ segment, offset }: MemoryBlock): number => segment.address + offset;

/** What must hold of blocks in use, whatever happened before. */
function checkBlocks(system: FakeSystem, pool: Pool, blocks: readonly MemoryBlock[]): void {
  const sorted = [...blocks].sort((a, b) => addressOf(a) - addressOf(b));
  sorted.forEach((block, i) => {
    assert.equal(addressOf(block) % 64, 0, "a block is not aligned");
    assert.ok(system.live.has(block.segment), "a block lies in a released segment");
    assert.ok(block.offset + block.bytes <= block.segment.bytes, "a block ends past its segment");
    const next = sorted[i + 1];
    if (next) assert.ok(addressOf(block) + block.bytes <= addressOf(next), "blocks overlap");
  });
  const { inUse, blocks: count, reserved, limit } = pool.stats;
  assert.equal(count, blocks.length);
  assert.equal(inUse, blocks.reduce((sum, block) => sum + block.bytes, 0));
  assert.equal(reserved, system.bytes);
  assert.ok(reserved <= limit, "more is reserved than allowed");
}

const sizes = fc.oneof(
  fc.integer({ min: 0, max: 5000 }),
  fc.integer({ min: 4000, max: 300_000 }),
  fc.integer({ min: MiB, max: 40 * MiB }),
);
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("take" as const), size: sizes }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("give" as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("trim" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("resetPeak" as const) }) },
  ),
  { maxLength: 120 },
);

Deno.test("a pool hands out aligned blocks that never overlap, and counts them exactly", () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 200 }), (steps, limit) => {
      const system = new FakeSystem(), pool = new Pool(system, limit * MiB);
      const blocks: MemoryBlock[] = [];
      let peak = 0;
      for (const step of steps) {
        if (step.kind === "take") {
          try {
            const block = pool.take(step.size);
            assert.ok(block.bytes >= step.size, "a block is too small");
            blocks.push(block);
          } catch (error) {
            assert.ok(error instanceof OutOfMemoryError, String(error));
          }
        } else if (step.kind === "give" && blocks.length > 0) {
          pool.give(blocks.splice(step.which % blocks.length, 1)[0]);
        } else if (step.kind === "trim") {
          const before = system.bytes;
          assert.equal(pool.trim(), before - system.bytes);
        } else if (step.kind === "resetPeak") {
          pool.resetPeak();
          peak = 0;
        }
        peak = Math.max(peak, pool.stats.inUse);
        assert.equal(pool.stats.peak, peak);
        checkBlocks(system, pool, blocks);
      }
      for (const block of blocks) pool.give(block);
      checkBlocks(system, pool, []);
    }),
    { numRuns: 300 },
  );
});

Deno.test("blocks given back in any order merge into the segment they were cut from", () => {
  const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 8, maxLength: 8 });
  fc.assert(fc.property(order, (order) => {
    const system = new FakeSystem(), pool = new Pool(system, Infinity);
    const blocks = order.map(() => pool.take(4 * MiB));
    assert.equal(system.live.size, 1);
    for (const i of order) pool.give(blocks[i]);
    assert.equal(pool.take(32 * MiB).segment, blocks[0].segment);
    assert.equal(system.live.size, 1);
  }));
});

Deno.test("a fragmented pool fills its holes before it asks for more", () => {
  const system = new FakeSystem(), pool = new Pool(system, Infinity);
  const blocks = Array.from({ length: 32 }, () => pool.take(MiB));
  blocks.forEach((block, i) => i % 2 === 0 && pool.give(block));
  for (let i = 0; i < 16; i++) pool.take(MiB);
  assert.equal(system.live.size, 1);
  pool.take(MiB);
  assert.equal(system.live.size, 2);
});

Deno.test("the smallest hole that fits is used", () => {
  const pool = new Pool(new FakeSystem(), Infinity);
  const [large, , small] = [8 * MiB, MiB, 2 * MiB, MiB].map((bytes) => pool.take(bytes));
  pool.give(large);
  pool.give(small);
  assert.equal(pool.take(2 * MiB).offset, small.offset);
});

Deno.test("small blocks are reused before another slab is cut", () => {
  const system = new FakeSystem(), pool = new Pool(system, Infinity);
  const first = new Set(Array.from({ length: 1000 }, () => pool.take(100)));
  for (const block of first) pool.give(block);
  for (let i = 0; i < 1000; i++) assert.ok(first.has(pool.take(100)));
  assert.equal(pool.stats.inUse, 1000 * 128);
});

Deno.test("near the limit a pool reserves no more than is needed, and gives cached memory back first", () => {
  const system = new FakeSystem(), pool = new Pool(system, 48 * MiB);
  const first = pool.take(20 * MiB);
  assert.equal(pool.stats.reserved, 32 * MiB);
  const second = pool.take(14 * MiB); // the rest of the first segment is too small
  assert.equal(pool.stats.reserved, 46 * MiB);
  pool.give(first);
  pool.give(second);
  pool.take(40 * MiB);
  assert.equal(pool.stats.reserved, 40 * MiB);
});

Deno.test("an allocation beyond the limit names the figures and what to do", () => {
  const pool = new Pool(new FakeSystem(), 48 * MiB);
  pool.take(30 * MiB);
  assert.throws(() => pool.take(64 * MiB), {
    name: "OutOfMemoryError",
    message: "memory: no room for 67108864 more bytes, 31457280 in use, 33554432 reserved " +
      "(limit 50331648). Dispose tensors, wrap the step in scope(), use smaller batches, or raise the limit.",
  });
  assert.equal(pool.stats.inUse, 30 * MiB);
});

Deno.test("when the system refuses, cached memory goes back to it and less is asked for", () => {
  const system = new FakeSystem(50 * MiB), pool = new Pool(system, Infinity);
  pool.give(pool.take(30 * MiB));
  const block = pool.take(40 * MiB); // 32 MiB cached and 40 MiB more are too much for the system
  assert.equal(system.bytes, 40 * MiB);
  const rest = pool.take(10 * MiB); // a segment of 32 MiB is too much as well
  assert.equal(system.bytes, 50 * MiB);
  assert.throws(() => pool.take(MiB), (error) => {
    return error instanceof OutOfMemoryError && error.cause instanceof RangeError;
  });
  pool.give(block);
  pool.give(rest);
  assert.equal(pool.stats.inUse, 0);
});
