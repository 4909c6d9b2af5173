import assert from "node:assert/strict";
import { Counter, exposition, Gauge, Histogram } from "../../serve/metrics.ts";

Deno.test("figures are written as Prometheus reads them", () => {
  const counter = new Counter("Things."), histogram = new Histogram("Times.", [0.1, 1]);
  counter.add(2, { kind: 'a"b\\c\nd' });
  counter.add(1, { kind: 'a"b\\c\nd' });
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe(value);
  const text = exposition({ things: counter, now: new Gauge("Now.", () => 5), times: histogram });
  assert.equal(
    text,
    [
      "# HELP things Things.",
      "# TYPE things counter",
      'things{kind="a\\"b\\\\c\\nd"} 3',
      "# HELP now Now.",
      "# TYPE now gauge",
      "now 5",
      "# HELP times Times.",
      "# TYPE times histogram",
      'times_bucket{le="0.1"} 2',
      'times_bucket{le="1"} 3',
      'times_bucket{le="+Inf"} 4',
      "times_sum 7.65",
      "times_count 4",
      "",
    ].join("\n"),
  );
});

Deno.test("a counter that has not counted is 0", () => {
  assert.ok(exposition({ things: new Counter("Things.") }).endsWith("things 0\n"));
});
