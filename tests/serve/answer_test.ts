import assert from "node:assert/strict";
import fc from "fast-check";
import { type AnswerOptions, AnswerText } from "../../serve/answer.ts";
import { splitReasoning, thinkClose, thinkOpen, trainBpe } from "../../text/mod.ts";

const corpus = [
  "the cat sat on the mat, häßlich € 😀",
  "stop END now",
  `${thinkOpen}\nhm\n${thinkClose}`,
];
const tokenizer = trainBpe(corpus, { vocabularySize: 300 }).tokenizer();
const plain: AnswerOptions = {
  stops: [],
  includeStop: false,
  minTokens: 0,
  skipSpecial: true,
  thinking: null,
};

/** What becomes of a text that a model writes. */
function answer(
  text: string,
  options: Partial<AnswerOptions> = {},
  together = 1,
): { reasoning: string; content: string; tokens: number[]; making: AnswerText } {
  const making = new AnswerText(tokenizer, { ...plain, ...options });
  const deltas = [];
  const tokens = [...tokenizer.encode(text)].map((id) => ({ id, logprob: -1, top: [] }));
  for (let from = 0; from < tokens.length && making.stop === null; from += together) {
    deltas.push(making.push(tokens.slice(from, from + together)));
  }
  deltas.push(making.finish());
  return {
    reasoning: deltas.map((delta) => delta.reasoning).join(""),
    content: deltas.map((delta) => delta.content).join(""),
    tokens: deltas.flatMap((delta) => delta.tokens.map(({ id }) => id)),
    making,
  };
}

const pieces = fc.array(
  fc.constantFrom(
    "a",
    " the",
    "END",
    "EN",
    "€",
    "😀",
    "ß",
    "STOP",
    "S",
    thinkOpen,
    thinkClose,
    "\n",
    "<th",
  ),
  { maxLength: 20 },
).map((list) => list.join(""));

Deno.test("tokens that come together are as tokens that come one by one", () => {
  fc.assert(fc.property(pieces, fc.integer({ min: 2, max: 5 }), (text, together) => {
    const options = { stops: ["END"], thinking: { inside: false } };
    const [one, many] = [answer(text, options), answer(text, options, together)];
    assert.deepEqual(
      [many.reasoning, many.content, many.tokens, many.making.stop, many.making.count],
      [one.reasoning, one.content, one.tokens, one.making.stop, one.making.count],
    );
  }));
});

Deno.test("an answer is the text up to the first stop text, and no character is cut", () => {
  fc.assert(fc.property(pieces, fc.boolean(), (text, includeStop) => {
    const stops = ["END", "STOP", "€S"];
    const found = stops
      .map((stop) => ({ stop, at: text.indexOf(stop) }))
      .filter(({ at }) => at >= 0)
      .toSorted((a, b) => a.at - b.at)[0];
    const { content, making } = answer(text, { stops, includeStop });
    const expected = found === undefined
      ? text
      : text.slice(0, found.at) + (includeStop ? found.stop : "");
    assert.equal(content, expected);
    assert.equal(making.stop, found?.stop ?? null);
  }));
});

Deno.test("thinking and content are those of the whole text", () => {
  fc.assert(fc.property(pieces, fc.boolean(), (text, inside) => {
    const { reasoning, content } = answer(text, { thinking: { inside } });
    assert.deepEqual({ reasoning, content }, splitReasoning(text, { inside }));
  }));
});

Deno.test("tokens come with the text that they make, each once, in order", () => {
  fc.assert(fc.property(pieces, (text) => {
    assert.deepEqual(answer(text).tokens, tokenizer.encode(text));
  }));
});

Deno.test("tokens of a stop text that is not shown are not told of", () => {
  const { tokens } = answer("the cat END now", { stops: ["END"] });
  assert.equal(tokenizer.decode(tokens), "the cat ");
});

Deno.test("no text ends an answer before the least number of tokens", () => {
  const text = "END the cat sat END";
  const { content, making } = answer(text, { stops: ["END"], minTokens: 4 });
  assert.equal(content, "END the cat sat ");
  assert.equal(making.stop, "END");
});

Deno.test("tokens of thinking are counted, with its marks", () => {
  const { making, reasoning } = answer(`${thinkOpen}\nhm\n${thinkClose}\n\nyes`, {
    thinking: { inside: false },
  });
  assert.equal(reasoning, "hm");
  const thinking = tokenizer.encode(`${thinkOpen}\nhm\n${thinkClose}`).length;
  assert.ok(Math.abs(making.reasoningTokens - thinking) <= tokenizer.encode(thinkOpen).length);
  assert.equal(answer("no thoughts", { thinking: { inside: false } }).making.reasoningTokens, 0);
});
