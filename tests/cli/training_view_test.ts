import assert from "node:assert/strict";
import { sparkline } from "../../cli/sparkline.ts";
import { count, duration, TrainingView } from "../../cli/training_view.ts";
import { memoryTerminal } from "./support.ts";

const figures = {
  loss: 2.5,
  grad_norm: 0.5,
  tokens_per_second: 34_120,
  mfu: 0.123,
  memory_bytes: 2e8,
};

Deno.test("a screen has one line that changes, and lines of their own above it", () => {
  const terminal = memoryTerminal({ screen: true });
  {
    using view = new TrainingView(terminal, "sft", 2);
    view.metrics(1, figures);
    view.metrics(1, { "eval/loss": 2, "eval/perplexity": 7.389 });
    view.warn("train: step 2 is left out, the loss is NaN.");
    view.sample(1, "one\n\x1btwo");
    view.metrics(2, { ...figures, loss: 2 });
  }
  const shown = terminal.errors.split("\r\x1b[2K");
  assert.equal(shown[1], "sft  1/2  loss 2.5 ▁  34.1k tok/s  MFU 12 %  grad 0.5  200 MB");
  assert.ok(shown[2].startsWith("sft  evaluated after step 1: loss 2  perplexity 7.389\nsft  1/2"));
  assert.ok(shown[3].startsWith("train: step 2 is left out, the loss is NaN.\n"));
  assert.match(shown[4], /sample after step 1: one �two/);
  assert.match(shown[5], /^sft {2}2\/2 {2}loss 2 █▁ .* 0:00 left {2}200 MB\n$/);
  assert.ok(shown.every((line) => line.split("\n").at(-1)!.length < 80));
});

Deno.test("a pipe gets twenty plain lines of a long run", () => {
  const terminal = memoryTerminal();
  {
    using view = new TrainingView(terminal, "sft", 1000);
    for (let step = 1; step <= 1000; step++) view.metrics(step, figures);
  }
  const lines = terminal.errors.trimEnd().split("\n");
  assert.equal(lines.length, 21);
  assert.ok(!terminal.errors.includes("\x1b"));
  assert.match(lines.at(-1)!, /^sft {2}1000\/1000 {2}loss 2\.5 {2}34\.1k tok\/s/);
});

Deno.test("numbers, durations and curves are short", () => {
  assert.deepEqual([999, 34_120, 1.3e6, 2e9].map(count), ["999", "34.1k", "1.3M", "2B"]);
  assert.deepEqual([0, 59.2, 61, 3723].map(duration), ["0:00", "1:00", "1:01", "1:02:03"]);
  assert.equal(sparkline([1, 2, 3, 4, 5, 6, 7, 8], 8), "▁▂▃▄▅▆▇█");
  assert.equal(sparkline([8, 8, 1, 1], 2), "█▁");
  assert.equal(sparkline([5, NaN, 5], 9), "▁▁");
  assert.equal(sparkline([], 9), "");
});
