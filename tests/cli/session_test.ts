/** Continuing texts with a cache that is kept. */
import assert from "node:assert/strict";
import { type ContinueOptions, Session, type StopReason } from "../../cli/session.ts";
import { Decoder, generate } from "../../nn/mod.ts";
import { device } from "../../tensor/mod.ts";
import "../support.ts";
import { tinySpec } from "./support.ts";

const plain: ContinueOptions = {
  maxTokens: 12,
  ends: new Set(),
  vocabularySize: tinySpec.vocab,
  seed: 5,
};

async function collect(
  session: Session,
  prompt: readonly number[],
  options: Partial<ContinueOptions> = {},
): Promise<{ ids: number[]; reason: StopReason }> {
  const tokens = session.continue(prompt, { ...plain, ...options });
  const ids: number[] = [];
  for (;;) {
    const next = await tokens.next();
    if (next.done) return { ids, reason: next.value };
    ids.push(next.value);
  }
}

/** Runs a test with a random decoder; fails when memory is left over. */
function sessionTest(
  name: string,
  body: (session: Session, decoder: Decoder) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const before = device().memory.inUse;
    {
      using decoder = new Decoder(tinySpec, { seed: 3, train: false });
      using session = new Session(decoder);
      await body(session, decoder);
    }
    assert.equal(device().memory.inUse, before);
  });
}

const prompt = [1, 2, 3, 4, 5];

sessionTest(
  "a session gives the tokens of generate(), sampled or not",
  async (session, decoder) => {
    for (const temperature of [0, 1]) {
      const options = { temperature, topK: 50, topP: 0.9 };
      const both = [...generate(decoder, [prompt, prompt], { ...options, maxTokens: 12, seed: 5 })];
      for (const sample of [0, 1]) {
        const { ids, reason } = await collect(session, prompt, { ...options, sample });
        assert.deepEqual(
          ids,
          both.filter(({ sequence }) => sequence === sample).map(({ id }) => id),
        );
        assert.equal(reason, "length");
      }
    }
  },
);

sessionTest("what was read before changes nothing", async (session, decoder) => {
  const first = await collect(session, prompt);
  const longer = [...prompt, ...first.ids, 7, 8];
  const next = await collect(session, longer);
  using fresh = new Session(decoder);
  assert.deepEqual(next, await collect(fresh, longer));
  // Another text that begins alike, then the same again.
  assert.deepEqual(await collect(session, [1, 2, 9]), await collect(fresh, [1, 2, 9]));
  assert.deepEqual(await collect(session, prompt), first);
});

sessionTest(
  "a text ends at an end, at the context, and when it is interrupted",
  async (session) => {
    const { ids } = await collect(session, prompt);
    const ends = new Set([ids[4]]);
    const cut = ids.slice(0, ids.indexOf(ids[4]));
    assert.deepEqual(await collect(session, prompt, { ends }), { ids: cut, reason: "end" });
    const full = await collect(session, prompt, { maxTokens: 1000 });
    assert.deepEqual([full.reason, full.ids.length], [
      "context",
      tinySpec.context - prompt.length + 1,
    ]);
    const signal = AbortSignal.abort();
    assert.deepEqual(await collect(session, prompt, { signal }), {
      ids: ids.slice(0, 1),
      reason: "interrupted",
    });
  },
);

sessionTest("only ids that the tokenizer knows are drawn", async (session) => {
  const { ids } = await collect(session, prompt, {
    temperature: 100,
    maxTokens: 50,
    vocabularySize: 10,
  });
  assert.ok(ids.every((id) => id < 10), `${ids}`);
});

sessionTest("minP 1 leaves the likeliest token alone", async (session) => {
  const greedy = await collect(session, prompt);
  assert.deepEqual(await collect(session, prompt, { temperature: 5, minP: 1 }), greedy);
});

sessionTest("prompts of no tokens and of too many are refused", async (session) => {
  const long = new Array<number>(tinySpec.context + 1).fill(1);
  await assert.rejects(collect(session, []), RangeError);
  await assert.rejects(collect(session, long), /65 tokens \(1 to 64\)/);
});
