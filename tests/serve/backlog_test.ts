import assert from "node:assert/strict";
import fc from "fast-check";
import { Backlog, Untold } from "../../serve/backlog.ts";
import type { EngineEnd, EngineTokens } from "../../serve/protocol.ts";
import { eventually } from "./support.ts";

const tokens = (id: number, ...ids: number[]): EngineTokens => ({
  kind: "tokens",
  id,
  tokens: ids.map((id) => ({ id, logprob: -1, top: [] })),
  atMs: ids.at(-1)!,
});

/** A backlog, and what each answer has not been told. */
function backlogOf(tell: (event: EngineTokens | EngineEnd) => void) {
  const backlog = new Backlog(tell), answers = new Map<number, Untold>();
  return {
    add(event: EngineTokens | EngineEnd): void {
      if (!answers.has(event.id)) answers.set(event.id, new Untold());
      backlog.add(answers.get(event.id)!, event);
    },
    tell: () => backlog.tell(),
    tellSoon: () => backlog.tellSoon(),
    clear: () => backlog.clear(),
  };
}
const end = (id: number): EngineEnd => ({
  kind: "end",
  id,
  reason: "stop",
  stop: null,
  failure: null,
});

Deno.test("a few answers are told at once, many in turns, and meanwhile others get in", async () => {
  const told: number[] = [];
  const backlog = backlogOf(({ id }) => told.push(id));
  const ids = Array.from({ length: 20 }, (_, i) => i);
  for (const id of ids.slice(0, 3)) backlog.add(tokens(id, 1));
  backlog.tell();
  assert.deepEqual(told.splice(0), [0, 1, 2]);
  for (const id of ids) backlog.add(tokens(id, 1));
  backlog.tell();
  assert.deepEqual(told, ids.slice(0, 8));
  backlog.tell();
  assert.equal(told.length, 8, "the others have their turn already");
  await eventually(() => told.length === ids.length, "all are told");
  assert.deepEqual(told, ids);
});

Deno.test("what comes while an answer waits is told with it", async () => {
  const told: (EngineTokens | EngineEnd)[] = [];
  const backlog = backlogOf((event) => told.push(event));
  backlog.add(tokens(1, 5));
  backlog.tellSoon();
  backlog.add(tokens(1, 6, 7));
  backlog.add(end(1));
  assert.deepEqual(told, []);
  await eventually(() => told.length > 0, "it is told");
  assert.deepEqual(told, [tokens(1, 5, 6, 7), end(1)]);
});

Deno.test("nothing is told any more after the end", async () => {
  const told: number[] = [];
  const backlog = backlogOf(({ id }) => told.push(id));
  backlog.add(end(1));
  backlog.tellSoon();
  backlog.clear();
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(told, []);
});

Deno.test("every answer is told all of its tokens in their order, and then its end", async () => {
  const steps = fc.array(fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 40 }), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(steps, async (steps) => {
      const asked = new Map<number, (number | "end")[]>(), told: typeof asked = new Map();
      const note = (to: typeof asked, event: EngineTokens | EngineEnd): void => {
        const list = to.get(event.id) ?? [];
        list.push(...event.kind === "end" ? ["end" as const] : event.tokens.map(({ id }) => id));
        to.set(event.id, list);
      };
      const backlog = backlogOf((event) => note(told, event));
      let count = 0;
      const add = (event: EngineTokens | EngineEnd): void => {
        note(asked, event);
        backlog.add(event);
      };
      for (const ids of steps) {
        for (const id of ids) add(tokens(id, count++));
        backlog.tell();
        if (count % 3 === 0) await new Promise((resolve) => setTimeout(resolve));
      }
      for (const id of [...asked.keys()]) add(end(id));
      backlog.tell();
      const ends = (): number => [...told.values()].filter((list) => list.at(-1) === "end").length;
      await eventually(() => ends() === asked.size, "all have ended");
      const sorted = (map: typeof asked) => [...map].toSorted(([a], [b]) => a - b);
      assert.deepEqual(sorted(told), sorted(asked));
    }),
    { numRuns: 50 },
  );
});
