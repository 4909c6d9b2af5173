import assert from "node:assert/strict";
import fc from "fast-check";
import {
  extractAnswer,
  MathSyntaxError,
  parseMath,
  Rational,
  sameMath,
  verifyMath,
} from "../../../train/rewards/mod.ts";
import { uniforms } from "../../support.ts";
import { sharedTest, sharedText } from "../../text/shared.ts";

const casesPath = "math/math-verify-tests/math_verify_cases.jsonl";
const gsm8kPaths = ["math/gsm8k/train.jsonl", "math/gsm8k/test.jsonl"];

function lines(path: string): Record<string, unknown>[] {
  return sharedText(path).trim().split("\n").map((line) => JSON.parse(line));
}

sharedTest(
  "the verifier agrees with Math-Verify's cases on 97 % and never says equal wrongly",
  [casesPath],
  () => {
    const cases = lines(casesPath);
    const wrong = cases.filter(({ gold, pred, expected, allow_set_relation_comp }) => {
      const options = { relationsForSets: allow_set_relation_comp === true };
      const verdict = verifyMath(String(gold), String(pred), options);
      assert.ok(!verdict || expected === 1, `equal wrongly: ${gold} and ${pred}`);
      return verdict !== (expected === 1);
    });
    assert.ok(wrong.length <= 0.03 * cases.length, JSON.stringify(wrong, null, 1));
  },
);

sharedTest(
  "every gold answer of GSM8K verifies against itself, and none of 1,000 perturbed ones does",
  gsm8kPaths,
  () => {
    const next = uniforms(8);
    gsm8kPaths.flatMap(lines).forEach(({ answer }, i) => {
      const gold = String(answer), value = Number(gold.split("####")[1].replaceAll(",", ""));
      assert.ok(verifyMath(gold, gold), gold);
      assert.ok(verifyMath(gold, `So it is $\\boxed{${value}}$.`), gold);
      if (i >= 1000) return;
      const kinds = [value + 1, value - 1, value * 10, value + 0.5, -value - 1, value / 10 + 0.03];
      const wrong = kinds[Math.floor(next() * kinds.length)];
      if (wrong === value) return; // ten times nothing
      for (const text of [`#### ${wrong}`, `The answer is ${wrong}.`, `$\\boxed{${wrong}}$`]) {
        assert.ok(!verifyMath(gold, text), `${gold} and ${text}`);
      }
    });
  },
);

const same: readonly (readonly [gold: string, answer: string])[] = [
  ["-0.5", "-\\frac12"],
  ["3\\frac{1}{2}", "7/2"],
  ["4.5", "4 1/2"],
  ["\\frac{\\sqrt{2}}{2}", "\\frac{1}{\\sqrt{2}}"],
  ["2\\sqrt{3}", "sqrt(12)"],
  ["x^2 - 1", "(x-1)(x+1)"],
  ["\\sin^2 x + \\cos^2 x", "1"],
  ["e^{i\\pi}", "-1"],
  ["\\log_2 8", "3"],
  ["\\binom{10}{3}", "120"],
  ["\\{1, 2\\}", "\\{2, 1\\}"],
  ["(0,1) \\cup (1,2)", "(1,2)\\cup(0,1)"],
  ["x \\ge 1", "[1,\\infty)"],
  ["\\mathbb{R}", "(-\\infty, \\infty)"],
  ["y = 2x + 1", "2x - y + 1 = 0"],
  ["x = 1, x = 2", "x = 2 or x = 1"],
  ["3 \\pm \\sqrt{2}", "3 - \\sqrt2, 3 + \\sqrt2"],
  ["\\begin{pmatrix}1\\\\2\\end{pmatrix}", "(1, 2)"],
  ["5\\text{ cm}", "5"],
  ["864 \\mbox{ inches}^2", "864"],
  ["120^\\circ", "120 degrees"],
  ["\\frac{3}{4}", "75\\%"],
  ["10\\%", "10"],
  ["1.5\\times 10^3", "1500"],
  ["10:15", "2:3"],
  ["(-1)^{n+1}", "(-1)^{n-1}"],
  ["0.1\\overline{6}", "1/6"],
  ["5\\text{ m/s}", "5"],
  ["20^\\circ \\mathrm{C}", "20"],
  [
    "\\begin{pmatrix}4&6\\end{pmatrix}",
    "2\\begin{pmatrix}1&2\\end{pmatrix}+\\begin{pmatrix}2&2\\end{pmatrix}",
  ],
  ["\\left\\{\\begin{array}{l}x=1\\\\y=2\\end{array}\\right.", "x=1, y=2"],
  ["1500", "1.5e3"],
  ["\\text{(B)}", "B"],
  ["\\text{Even}", "even"],
];

const different: readonly (readonly [gold: string, answer: string])[] = [
  ["4 1/2", "2"],
  ["(1, 2)", "(2, 1)"],
  ["[0, 1]", "(0, 1)"],
  ["\\sqrt{x^2}", "x"],
  ["1/3", "0.33"],
  ["x < 1", "x \\le 1"],
  ["x = 1", "y = 1"],
  ["1, 2", "1, 2, 3"],
  ["\\frac{1}{0}", "\\frac{2}{0}"],
  ["\\infty", "-\\infty"],
  ["\\text{not even}", "\\text{not odd}"],
  ["123456789", "123456788"],
  ["12345678901234567890", "12345678901234567891"],
  ["2^{1000}", "2^{1000} + 1"],
  ["(-1)^n", "1"],
  ["2.5 \\text{ or } 3", "2.5"],
];

Deno.test("formulas that mean the same are the same, and close ones are not", () => {
  for (const [gold, answer] of same) assert.ok(sameMath(gold, answer), `${gold} and ${answer}`);
  for (const [gold, answer] of different) {
    assert.ok(!sameMath(gold, answer), `${gold} and ${answer}`);
    assert.ok(!sameMath(answer, gold), `${answer} and ${gold}`);
  }
});

Deno.test("an inequality is no answer where its solution is asked for", () => {
  assert.ok(sameMath("1 < x < 2", "(1, 2)"));
  assert.ok(!sameMath("(1, 2)", "1 < x < 2"));
  assert.ok(!sameMath("x \\in (1, 2)", "1 < x < 2"));
  assert.ok(sameMath("(1, 2)", "1 < x < 2", { relationsForSets: true }));
});

Deno.test("the final answer is found where solutions put it", () => {
  const expected: readonly (readonly [text: string, answer: string | null])[] = [
    ["So $x = \\boxed{3}$ and $y = \\boxed{4}$.", "3, 4"],
    ["First \\boxed{3}. After a long while: \\boxed{4}.", "4"],
    ["She has 3 + 4 = 7 eggs.\n#### 1,007", "1007"],
    ["\\boxed{5} is half. The final answer is $10$. I hope it is correct.", "10"],
    ["<think>The answer is 7.</think>\n\nThe answer is 5 apples.", "5"],
    ["**Final Answer:** 18", "18"],
    ["He pays $70,000 in 2 rates, which makes 35,000.50.", "35000.50"],
    ["Nothing to see", null],
    ["AZYUK2A", null],
    ["<think>5", "5"],
  ];
  for (const [text, answer] of expected) assert.equal(extractAnswer(text), answer, text);
});

const pieces = [
  ..."0123456789.,;:+-*/^_=<>()[]{}|!%&'$\\ \n\tabxyzRé½",
  "\\frac",
  "\\sqrt",
  "\\left(",
  "\\right)",
  "\\begin{pmatrix}",
  "\\end{pmatrix}",
  "\\boxed{",
  "\\text{",
  "\\cup",
  "\\pm",
  "\\lbrace",
  "\\sin",
  "\\\\",
  "the answer is",
  "####",
  "</think>",
  "10^{10^{10}}",
  "9!",
];

Deno.test("no text makes the parser crash, and the only error is that it is no formula", () => {
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 60 }).map((parts) =>
    parts.join("")
  );
  fc.assert(
    fc.property(text, text, (a, b) => {
      assert.equal(typeof verifyMath(a, b), "boolean");
      try {
        parseMath(a);
      } catch (error) {
        assert.ok(error instanceof MathSyntaxError, String(error));
      }
    }),
    { numRuns: 3000, seed: 5 },
  );
});

Deno.test("hostile formulas end: nested, repeated and enormous ones", () => {
  const repeated = pieces.flatMap((piece) => [piece.repeat(3000), piece.repeat(100)]);
  const sets = (depth: number, wide: boolean): string =>
    depth === 0 ? "1" : `\\{${sets(depth - 1, wide)}${wide ? `, ${sets(depth - 1, wide)}` : ""}\\}`;
  const nested = [sets(50, false), sets(9, true), "(".repeat(2000) + "1" + ")".repeat(2000)];
  const long = [
    "1+".repeat(1900) + "1",
    "x^".repeat(1900) + "x",
    "9^9^9^9",
    "3!!!!!!",
    "\\pm 1".repeat(300),
    "\\begin{pmatrix}x&y\\\\1&x\\end{pmatrix}".repeat(40),
  ];
  for (const text of [...repeated, ...nested, ...long]) {
    assert.equal(typeof verifyMath(`$${text}$`, `\\boxed{${text} }`), "boolean");
    assert.equal(typeof sameMath(text, `${text}+0`), "boolean");
  }
});

Deno.test("fractions are exact and in lowest terms", () => {
  assert.equal(Rational.parse("0.50").toString(), "1/2");
  assert.equal(Rational.of(6n, -4n).toString(), "-3/2");
  assert.equal(Rational.of(2n, 3n).power(-3n)?.toString(), "27/8");
  assert.equal(Rational.of(-1n).power(10n ** 30n + 1n)?.toString(), "-1");
  assert.equal(Rational.of(2n).power(10n ** 30n), null);
  assert.equal(Rational.of(10n ** 400n, 3n * 10n ** 400n).toNumber(), 1 / 3);
  assert.throws(() => Rational.of(1n, 0n), RangeError);
});
