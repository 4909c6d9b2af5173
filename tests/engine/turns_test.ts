import assert from "node:assert/strict";
import { Turns } from "../../engine/mod.ts";

Deno.test("a turn is due when its time has come, and again after another", async () => {
  const always = new Turns(0), seldom = new Turns(1e9);
  assert.deepEqual([always.isDue, seldom.isDue], [true, false]);
  await always.give();
  assert.ok(always.isDue);
});

Deno.test("a signal, a timer and a promise get through in a few turns", async () => {
  const heard = new Set<string>(), turns = new Turns(0);
  const listen = (): void => void heard.add("signal");
  Deno.addSignalListener("SIGUSR2", listen);
  try {
    Deno.kill(Deno.pid, "SIGUSR2");
    setTimeout(() => heard.add("timer"));
    Promise.resolve().then(() => heard.add("promise"));
    for (let i = 0; i < 5; i++) await turns.give();
  } finally {
    Deno.removeSignalListener("SIGUSR2", listen);
  }
  assert.deepEqual([...heard].sort(), ["promise", "signal", "timer"]);
});
