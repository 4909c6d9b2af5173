import assert from "node:assert/strict";
import { RandomKey } from "../../../tensor/mod.ts";
import {
  type CompletionSource,
  PromptCoder,
  RewardPool,
  verifiedProduct,
} from "../../../train/mod.ts";
import { measurePassRates } from "../../../train/grpo/mod.ts";
import { withFolder } from "../../nn/specs.ts";
import { tokenizer } from "./support.ts";

const rows = Array.from({ length: 10 }, (_, i) => ({ prompt: `write ${i}`, share: i / 10 }));

/** Right in about `share` of the samples of each row, as seed and place decide. Dies after `most` calls. */
function simulated(most = Infinity) {
  const calls: number[] = [];
  const generate: CompletionSource = (prompts, { seed = 0, onCompletion }) => {
    if (calls.length >= most) return Promise.reject(new Error("killed"));
    calls.push(prompts.length);
    const completions = prompts.map((prompt, place) => {
      const share = Number(tokenizer.decode([...prompt]).at(-1)) / 10;
      const right = new RandomKey(seed).uniform(place) < share;
      return { ids: [...tokenizer.encode(right ? "yes" : "no"), 0], ended: true, logProbs: null };
    });
    completions.forEach((completion, place) => onCompletion?.(completion, place));
    return Promise.resolve(completions);
  };
  return { generate, calls };
}

function options(generate: CompletionSource, path: string) {
  return {
    ...{ path, generate, coder: new PromptCoder(tokenizer), combine: verifiedProduct() },
    pool: new RewardPool({ correct: ({ text }) => Number(text.startsWith("yes")) }),
    ...{ samples: 8, maxTokens: 4, temperature: 1, topP: 1, batch: 3, seed: 5 },
  };
}

Deno.test("pass rates are measured, stored, and not measured twice", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/rates.jsonl`, first = simulated(), again = simulated();
    const rated = await measurePassRates(rows, options(first.generate, path));
    assert.deepEqual(first.calls, [24, 24, 24, 8]);
    assert.equal(rated[0].passRate, 0);
    assert.ok(
      rated[9].passRate > rated[1].passRate &&
        rated.every(({ passRate }) => passRate * 8 % 1 === 0),
    );
    assert.deepEqual(await measurePassRates(rows, options(again.generate, path)), rated);
    assert.deepEqual(again.calls, []);
    assert.equal(Deno.readTextFileSync(path).trim().split("\n").length, 11);
  });
});

Deno.test("a measurement that was killed, or whose last line was cut, ends with the same rates", async () => {
  await withFolder(async (folder) => {
    const whole = await measurePassRates(
      rows,
      options(simulated().generate, `${folder}/whole.jsonl`),
    );
    const path = `${folder}/killed.jsonl`;
    await assert.rejects(measurePassRates(rows, options(simulated(2).generate, path)), /killed/);
    Deno.writeTextFileSync(path, '{"row":6,"pass_rate":1,"samples":8}\n{"row":7,"pa', {
      append: true,
    });
    const rest = simulated();
    assert.deepEqual(await measurePassRates(rows, options(rest.generate, path)), whole);
    assert.deepEqual(rest.calls, [24, 8]);
    assert.equal(Deno.readTextFileSync(path), Deno.readTextFileSync(`${folder}/whole.jsonl`));
  });
});

Deno.test("rates of other settings are refused", async () => {
  await withFolder(async (folder) => {
    const path = `${folder}/rates.jsonl`, { generate } = simulated();
    await measurePassRates(rows, options(generate, path));
    await assert.rejects(
      measurePassRates(rows, { ...options(generate, path), temperature: 0.5 }),
      /other settings/,
    );
  });
});
