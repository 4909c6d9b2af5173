import assert from "node:assert/strict";
import fc from "fast-check";
import { ChatTemplate, Tokenizer } from "../../../text/mod.ts";
import {
  openRows,
  packedBatches,
  type Row,
  RowError,
  rowsOf,
  streamRows,
  type TokenizeOptions,
  tokenizeRows,
  type TokenSequence,
} from "../../../train/data/mod.ts";
import { sharedJson, sharedPath, sharedTest, sharedText } from "../../text/shared.ts";
import { readAll, smallTokenizer, take } from "./support.ts";

/** It puts a beginning of sequence before a text that stands alone. */
const beginning = smallTokenizer();
const tokenizer = Tokenizer.fromVocabulary({ ...beginning.vocabulary!, addBos: false });
const options = { tokenizer, context: 64 };

async function sequencesOf(
  row: Row,
  more: Partial<TokenizeOptions> = {},
): Promise<TokenSequence[]> {
  return [...await tokenizeRows(rowsOf([row], "rows"), { ...options, ...more }).read(0)];
}

const whole = ({ ids }: TokenSequence, of: Tokenizer = tokenizer): string => of.decode(ids);

function trainedText({ ids, trained }: TokenSequence, of: Tokenizer = tokenizer): string {
  return of.decode(ids.filter((_, i) => trained[i] === 1));
}

Deno.test("a text is trained to its end of sequence, which is not doubled", async () => {
  for (const text of ["two and two", "two and two</s>"]) {
    const [sequence] = await sequencesOf({ text });
    assert.equal(whole(sequence), "two and two</s>");
    assert.equal(sequence.trained[0], 0);
    assert.ok(sequence.trained.subarray(1).every((one) => one === 1));
  }
});

Deno.test("a beginning of sequence stands where the tokenizer wants it, once", async () => {
  for (const text of ["two and two", "<s>two and two"]) {
    const [sequence] = await sequencesOf({ text }, { tokenizer: beginning });
    assert.equal(whole(sequence), "<s>two and two</s>");
    assert.equal(trainedText(sequence), "two and two</s>");
  }
  const [completion] = await sequencesOf({ prompt: "<s>two", completion: " and" }, {
    tokenizer: beginning,
  });
  assert.deepEqual([whole(completion), trainedText(completion)], ["<s>two and</s>", " and</s>"]);
  const template = new ChatTemplate(
    "{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}",
    {
      bosToken: "<s>",
    },
  );
  const messages = [{ role: "user", content: "<s>two" }, { role: "assistant", content: " and" }];
  const [chat] = await sequencesOf({ messages }, { tokenizer: beginning, template });
  assert.deepEqual([whole(chat), trainedText(chat)], ["<s>two and", " and"]);
});

Deno.test("pieces of a text have no beginning or end in the middle", async () => {
  const middle = { text: "two and", continues: true, continued: true };
  const [sequence] = await sequencesOf(middle, { tokenizer: beginning });
  assert.equal(whole(sequence), "two and");
});

Deno.test("of a completion row the completion is trained, with what ends it", async () => {
  const [sequence] = await sequencesOf({ prompt: "what is two", completion: " and two?" });
  assert.deepEqual([whole(sequence), trainedText(sequence)], [
    "what is two and two?</s>",
    " and two?</s>",
  ]);
});

Deno.test("a prompt is masked to the last byte, whatever the texts", async () => {
  await fc.assert(fc.asyncProperty(
    fc.string({ unit: "grapheme", maxLength: 8 }),
    fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }),
    async (prompt, completion) => {
      // A grapheme may be many bytes, each a token.
      const [{ ids, trained }] = await sequencesOf({ prompt, completion }, { context: 1024 });
      const bytesOf = (chosen: Int32Array): number =>
        chosen.reduce((sum, id) => sum + tokenizer.bytesOf(id).length, 0);
      const total = new TextEncoder().encode(`${prompt}${completion}</s>`).length;
      assert.equal(bytesOf(ids), total);
      const learned = bytesOf(ids.filter((_, i) => trained[i] === 1));
      const wanted = new TextEncoder().encode(`${completion}</s>`).length;
      // A token that lies across the border counts as learned; the first token of all never does.
      assert.ok(learned >= wanted || (prompt === "" && trained[0] === 0), `${learned} ${wanted}`);
    },
  ));
});

Deno.test("of a conversation what the assistant says is trained, thinking and end of turn included", async () => {
  const answer = "<think>\ntwo and two is four\n</think>\n\nfour";
  const messages = [{ role: "user", content: "what?" }, { role: "assistant", content: answer }];
  assert.equal(trainedText((await sequencesOf({ messages }))[0]), `${answer}</s>`);
  const stripping = new ChatTemplate(
    "{% for m in messages %}{{ m.content.split('</think>')[-1] }}</s>{% endfor %}",
  );
  const [kept] = await sequencesOf({ messages }, { template: stripping });
  assert.equal(trainedText(kept), `${answer}</s>`);
  const refused = tokenizeRows(rowsOf([{ messages }], "rows"), {
    ...options,
    template: stripping,
    keepThinking: false,
  });
  await assert.rejects(refused.read(0), /rows, row 1: chat template: it strips <think>/);
});

Deno.test("only the targets of a conversation are trained", async () => {
  const messages = ["a", "b", "c", "d"].map((content, i) => ({
    role: i % 2 === 0 ? "user" : "assistant",
    content,
  }));
  for (
    const [targets, trained] of [[[1], "b</s>"], [[3], "d</s>"], [[1, 3], "b</s>d</s>"]] as const
  ) {
    assert.equal(trainedText((await sequencesOf({ messages, targets }))[0]), trained);
  }
  for (const row of [{ messages }, { messages, targets: [1, 3] }]) {
    assert.equal(trainedText((await sequencesOf(row, { targets: "last" }))[0]), "d</s>");
  }
  const [earlier] = await sequencesOf({ messages, targets: [1] }, { targets: "last" });
  assert.equal(trainedText(earlier), "b</s>");
});

Deno.test("a row without a token to learn is refused by its place", async () => {
  const refuse = async (row: Row, message: RegExp): Promise<void> => {
    await assert.rejects(sequencesOf(row), (error: Error) => {
      assert.equal(error.name, "RowError");
      assert.match(error.message, message);
      return true;
    });
  };
  await refuse(
    { messages: [{ role: "user", content: "Hi" }] },
    /^rows, row 1: chat template: nothing to learn/,
  );
  await refuse({ text: "" }, /^rows, row 1: no token of 0 is to be learned\. Give the row a text/);
});

Deno.test("an id that the model does not have stops the run, also where bad rows are skipped", async () => {
  const rows = tokenizeRows(rowsOf([{ text: "two" }], "rows"), { ...options, vocabulary: 5 });
  await assert.rejects(streamRows(rows, { onBadRow: "skip" }).next(), (error: Error) => {
    assert.equal(error.name, "DataError");
    assert.match(
      error.message,
      /^rows, row 1: the tokenizer gives id \d+, the model has 5 ids \(0 to 4\)\. Use the tokenizer that/,
    );
    return true;
  });
});

Deno.test("a long text is split, and every token but the first is predicted once", async () => {
  await fc.assert(fc.asyncProperty(
    fc.string({ minLength: 1, maxLength: 200 }),
    fc.integer({ min: 1, max: 20 }),
    async (text, context) => {
      const [one] = await sequencesOf({ text }, { context: 1000 });
      const parts = await sequencesOf({ text }, { context });
      assert.ok(parts.every(({ ids }) => ids.length >= 2 && ids.length <= context + 1));
      assert.ok(parts.every(({ trained }) => trained[0] === 0));
      assert.deepEqual(parts.flatMap(({ ids }) => [...ids.subarray(1)]), [...one.ids.subarray(1)]);
      assert.deepEqual(parts.flatMap(({ ids }) => [...ids.subarray(0, -1)]), [
        ...one.ids.subarray(0, -1),
      ]);
    },
  ));
});

Deno.test("a conversation or completion above the context stops the run, is skipped, or is cut", async () => {
  const long = { prompt: "two", completion: " and two".repeat(50) };
  await assert.rejects(sequencesOf(long), {
    name: "DataError",
    message:
      /^rows, row 1: the row is longer than the context, \d+ tokens \(64\)\. Raise the context/,
  });
  const skipping = tokenizeRows(rowsOf<Row>([long, { text: "two" }], "rows"), {
    ...options,
    tooLong: "skip",
  });
  assert.equal((await readAll(skipping)).length, 1);
  assert.deepEqual([skipping.counts.tooLong, skipping.counts.rows], [1, 1]);
  const cutting = tokenizeRows(
    rowsOf<Row>([long, { prompt: long.completion, completion: "!" }], "rows"),
    { ...options, tooLong: "truncate" },
  );
  const [cut, ...others] = await readAll(cutting);
  assert.deepEqual([cut.ids.length, others], [65, []]);
  // Of the second row nothing that is trained is within the context.
  assert.deepEqual([cutting.counts.truncated, cutting.counts.tooLong], [1, 1]);
});

Deno.test("rows, sequences and tokens are counted", async () => {
  const tokens = tokenizeRows(rowsOf([{ text: "two ".repeat(60) }], "rows"), {
    ...options,
    context: 16,
  });
  const sequences = await readAll(tokens);
  const read = sequences.reduce((sum, { ids }) => sum + ids.length - 1, 0);
  assert.deepEqual(tokens.counts, {
    ...{ rows: 1, sequences: sequences.length, tokens: read, trained: read },
    ...{ split: 1, truncated: 0, tooLong: 0 },
  });
});

const llamaNemotron = "serving/nemotron-templates/llama-nemotron-super-v1_5.jinja";
const gsm8k = "math/gsm8k/test.jsonl";

sharedTest(
  "GSM8K by Llama-Nemotron's template trains the reply alone",
  [llamaNemotron, gsm8k],
  async () => {
    const template = new ChatTemplate(sharedText(llamaNemotron), {
      bosToken: "<s>",
      eosToken: "</s>",
    });
    using rows = await openRows([sharedPath(gsm8k)]);
    const tokens = tokenizeRows(rows, { tokenizer: beginning, template, context: 4096 });
    for (let index = 0; index < 40; index++) {
      const [on, off] = await tokens.read(index), replies = await rows.read(index);
      for (const [sequence, row] of [[on, replies[0]], [off, replies[1]]] as const) {
        const reply = (row.messages as { content: string }[])[2].content;
        assert.equal(trainedText(sequence).replace(/<\|eot_id\|>$/, ""), reply);
        assert.equal(whole(sequence).split("<|begin_of_text|>").length - 1, 1);
      }
    }
  },
);

const stories = ["models/stories260K/tok512.bin", "text/tinystories-small/tiny_stories.txt"];

sharedTest("stories become full batches of stories260K's tokens", stories, async () => {
  const storyTokenizer = await Tokenizer.load(sharedPath(stories[0]));
  using rows = await openRows([sharedPath(stories[1])]);
  const tokens = tokenizeRows(rows, { tokenizer: storyTokenizer, context: 256, vocabulary: 512 });
  const source = streamRows(tokens, { seed: 1, epochs: 1 });
  const batches = packedBatches({ source, context: 256, tokensPerBatch: 4096, microBatches: 2 });
  for (const parts of await take(batches, 20)) {
    assert.deepEqual(parts.map(({ ids }) => ids.length > 1900), [true, true]);
  }
  assert.ok(batches.rows.fill > 0.98, `${batches.rows.fill}`);
});

const recorded = "serving/hf-jinja-tests/chat_templates_e2e.json";

/** What is trained of a dialogue by a template; null where the row is refused. */
async function trainedBy(template: string, targets: "all" | "last"): Promise<string | null> {
  const messages = [
    { role: "user", content: "what is two?" },
    { role: "assistant", content: "<think>\none and one\n</think>\n\nthe answer" },
    { role: "user", content: "what is four?" },
    { role: "assistant", content: "two and two" },
  ];
  const rows = tokenizeRows(rowsOf([{ messages }], "rows"), {
    tokenizer: beginning,
    template: new ChatTemplate(template, { bosToken: "<s>", eosToken: "</s>" }),
    ...{ context: 10_000, targets },
  });
  try {
    const [sequence] = await rows.read(0);
    assert.ok(!whole(sequence).includes("<s><s>"));
    return trainedText(sequence);
  } catch (error) {
    assert.ok(error instanceof RowError, `${error}`);
    return null;
  }
}

sharedTest(
  "recorded templates train what the assistant says, or refuse the row",
  [recorded],
  async () => {
    const cases = sharedJson<{ readonly name: string; readonly template: string }[]>(recorded);
    const counts = { all: 0, last: 0 };
    for (const { name, template } of cases) {
      for (const targets of ["all", "last"] as const) {
        const text = await trainedBy(template, targets);
        if (text === null) continue;
        counts[targets]++;
        assert.ok(text.includes("two and two") && !text.includes("what is"), `${name}: ${text}`);
        assert.equal(text.includes("one and one\n</think>\n\nthe answer"), targets === "all", name);
      }
    }
    assert.ok(
      counts.all >= 35 && counts.last >= 44,
      `${counts.all}, ${counts.last} of ${cases.length}`,
    );
  },
);
