import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { findCompiler } from "../../ffi/mod.ts";

interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly peer?: { readonly name: string; readonly value: number };
}

Deno.test({
  name: "the bench of the server puts the same load on a bare program beside it",
  ignore: findCompiler() === null, // the bench measures kernels' ceilings first
  fn: putsLoadOnBoth,
});

async function putsLoadOnBoth(): Promise<void> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", fileURLToPath(new URL("../../bench/cli.ts", import.meta.url)), "serve"],
      ...["--clients", "2", "--requests", "6", "--max-tokens", "6", "--threads", "2"],
      ...["--peer", "--json"],
    ],
    env: { NO_COLOR: "1" },
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  const rows: Row[] = JSON.parse(new TextDecoder().decode(stdout)).rows;
  const valueOf = (name: string) => rows.find((row) => row.name === name)!.value;
  assert.equal(valueOf("refused"), 0);
  assert.ok(valueOf("throughput c2") > 0);
  // Linux counts what a hypervisor gives to others.
  const others = rows.find(({ name }) => name === "time of other machines");
  assert.equal(others !== undefined, Deno.build.os === "linux");
  if (others) {
    for (const value of [others.value, others.peer!.value]) assert.ok(value >= 0 && value <= 100);
  }
  const times = rows.filter(({ unit }) => unit === "ms");
  assert.ok(times.length >= 9);
  for (const { name, value, peer } of times) {
    assert.equal(peer?.name, "bare sockets", name);
    // Tokens that are read at once have no time between them.
    if (!name.startsWith("inter-token")) assert.ok(value > 0 && peer!.value > 0, name);
  }
}
