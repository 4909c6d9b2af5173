import assert from "node:assert/strict";
import { RandomKey } from "../../../../tensor/mod.ts";
import { Draw, generateTask, tasks } from "../../../../train/data/synthetic/mod.ts";
import { solve } from "./solver.ts";
import { checkSteps } from "./steps.ts";

const key = new RandomKey(1).derive("test");

for (const task of tasks) {
  const levels = Array.from({ length: task.levels }, (_, i) => i + 1);

  Deno.test(`${task.name}: an independent solver finds every answer, and every step is true`, () => {
    for (const level of levels) {
      for (let i = 0; i < 400; i++) {
        const draw = new Draw(key.derive(task.name).derive(level).derive(i));
        const { question, careful, brief, answer } = task.problem(level, draw);
        assert.equal(answer, solve(task.name, question), question);
        checkSteps(question, careful.join("\n"), answer);
        checkSteps(question, brief.join("\n"), answer);
      }
    }
  });

  Deno.test(`${task.name}: careful working is longer than brief, and higher levels need more`, () => {
    const meanLength = (level: number, steps: "careful" | "brief"): number => {
      const problems = Array.from(
        { length: 300 },
        (_, i) => task.problem(level, new Draw(key.derive(task.name).derive(level).derive(i))),
      );
      const total = problems.reduce(
        (sum, problem) => sum + [problem.content, ...problem[steps]].join("\n").length,
        0,
      );
      return total / problems.length;
    };
    const careful = levels.map((level) => meanLength(level, "careful"));
    levels.forEach((level, i) => {
      assert.ok(careful[i] >= meanLength(level, "brief"), `level ${level}`);
      if (i > 0) assert.ok(careful[i] > careful[i - 1], `question and working: ${careful}`);
    });
  });

  Deno.test(`${task.name}: a level has hundreds of problems in several wordings`, () => {
    for (const level of levels) {
      const problems = Array.from(
        { length: 1000 },
        (_, i) => task.problem(level, new Draw(key.derive(task.name).derive(level).derive(i))),
      );
      const contents = new Set(problems.map(({ content }) => content));
      const wordings = new Set(problems.map(({ question }) => question.replace(/[\d(["].*/, "")));
      assert.ok(contents.size > 120, `level ${level}: ${contents.size} problems`);
      assert.ok(wordings.size >= 2, `level ${level}: ${[...wordings]}`);
    }
  });
}

Deno.test("a key decides the problem, and another key makes another one", () => {
  const first = generateTask("chain", 3, key);
  assert.deepEqual(generateTask("chain", 3, key), first);
  assert.notDeepEqual(generateTask("chain", 3, key.derive("other")), first);
});

Deno.test("the share of careful traces is that asked for", () => {
  const lines = (carefulShare: number): number[] =>
    Array.from(
      { length: 400 },
      (_, i) =>
        generateTask("addition", 3, key.derive(i), { carefulShare }).trace.split("\n").length,
    );
  assert.ok(lines(1).every((count) => count === 4));
  assert.ok(lines(0).every((count) => count === 1));
  const share = lines(0.4).filter((count) => count === 4).length / 400;
  assert.ok(Math.abs(share - 0.4) < 0.08, `${share}`);
});

Deno.test("an unknown task and a level that does not exist are named", () => {
  assert.throws(() => generateTask("juggling", 1, key), /no task "juggling" \(addition, /);
  assert.throws(() => generateTask("addition", 5, key), /no such level, 5 given \(1 to 4\)/);
  assert.throws(() => generateTask("addition", 0, key), RangeError);
});
