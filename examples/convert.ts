/** Checkpoints: a Hugging Face folder becomes a GGUF file and comes back; only headers are read before weights are needed. */
import {
  Decoder,
  formatSummary,
  openCheckpoint,
  summarize,
  writeGgufCheckpoint,
} from "@denotron/denotron";
import assert from "node:assert/strict";
import { join } from "node:path";
import { smallSpec } from "./support.ts";

const folder = Deno.makeTempDirSync({ prefix: "denotron-example-" });
const file = join(folder, "model.gguf"), hub = join(folder, "model");
using model = new Decoder(smallSpec(2), { seed: 5, train: false });
model.save(hub);
{
  using source = openCheckpoint(hub);
  console.log(formatSummary(summarize(source.spec)).split("\n").slice(0, 4).join("\n"));
  writeGgufCheckpoint(file, source, { dtype: "f32" });
}
for (const { name } of Deno.readDirSync(hub)) {
  console.log(`model/${name}: ${Deno.statSync(join(hub, name)).size} bytes`);
}
console.log(`model.gguf: ${Deno.statSync(file).size} bytes`);

using source = openCheckpoint(file);
using again = Decoder.load(source, { train: false });
assert.deepEqual(source.spec.blocks, model.spec.blocks);
for (const [name, weight] of model.namedParameters()) {
  assert.deepEqual(again.namedParameters().get(name)!.data(), weight.data(), name);
}
Deno.removeSync(folder, { recursive: true });
