import assert from "node:assert/strict";
import { groupAdvantages, importanceWeight, isUniform } from "../../../train/grpo/mod.ts";
import { assertClose } from "../../support.ts";

const golden = JSON.parse(
  Deno.readTextFileSync(new URL("../../golden/trl_grpo.json", import.meta.url)),
);
const exact = { absolute: 1e-9, relative: 1e-9 };
const leaveOneOut = (rewards: number[], ended: boolean[]) =>
  groupAdvantages(rewards, ended).advantages;
const all = (count: number): boolean[] => Array(count).fill(true);

Deno.test("group, mean and leave-one-out advantages are those of TRL", () => {
  for (const { rewards, std, ...kinds } of golden.advantages) {
    for (const kind of ["group", "mean", "rloo"] as const) {
      const found = groupAdvantages(rewards, all(rewards.length), kind);
      assertClose(found.advantages, kinds[kind], exact, `${kind} of ${rewards}`);
      assertClose([found.std], [std], exact, "std");
    }
  }
});

Deno.test("leave-one-out advantages equal those computed by hand", () => {
  // r = 1, 0, 1, 0 of four that ended: n = 3. For r = 1: b = 1/3, s = √(1/3 − 1/9) = √2/3, A = (2/3) / (√2/3) = √2.
  // For r = 0: b = 2/3, s = √(2/3 − 4/9) = √2/3, A = −√2.
  const root = Math.SQRT2;
  assertClose(leaveOneOut([1, 0, 1, 0], all(4)), [root, -root, root, -root], exact, "half right");
  // r = 1, 0, 0: for r = 1 the others are equal, s = 0, A = 1 as it is. For r = 0: b = 1/2, s = 1/2, A = −1.
  assertClose(leaveOneOut([1, 0, 0], all(3)), [1, -1, -1], exact, "one right");
});

Deno.test("completions that did not end count in nobody's baseline", () => {
  // r = 1, 0, 0 and one that was cut: n = 3 − 1 = 2. For r = 1: b = 0, s = 0, A = 1. For r = 0: b = 1/2, s = 1/2, A = −1.
  // The one that was cut: Σ r valid = 1, n = 2, b = 1/2, s² = 1/2 − 1/4, A = −1.
  assertClose(
    leaveOneOut([1, 0, 0, 0], [true, true, true, false]),
    [1, -1, -1, -1],
    exact,
    "one cut",
  );
});

Deno.test("with one finished completion, or none, there is no advantage", () => {
  assert.deepEqual(leaveOneOut([1, 0, 0], [true, false, false]), [0, 0, 0]);
  assert.deepEqual(leaveOneOut([0, 0], [false, false]), [0, 0]);
  assert.deepEqual(leaveOneOut([1], [true]), [0]);
});

Deno.test("groups without variance have no advantage: all wrong, all right, or alike but for rounding", () => {
  for (const reward of [0, 1, 0.1]) {
    assertClose(
      leaveOneOut(Array(5).fill(reward), all(5)),
      [0, 0, 0, 0, 0],
      exact,
      `all ${reward}`,
    );
    assert.ok(isUniform(Array(5).fill(reward)));
  }
  assert.ok(!isUniform([0, 0, 1]));
});

Deno.test("importance weights are limited, or dropped outside of the limits", () => {
  const weight = (ratio: number, kind: "none" | "tis" | "icepop") =>
    importanceWeight(Math.log(ratio), 0, { kind });
  assertClose([0.1, 1, 1.5, 8].map((r) => weight(r, "tis")), [0.1, 1, 1.5, 2], exact, "tis");
  assertClose([0.1, 0.6, 4, 8].map((r) => weight(r, "icepop")), [0, 0.6, 4, 0], exact, "icepop");
  assert.equal(weight(8, "none"), 1);
});
