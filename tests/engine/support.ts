/**
 * What tests of the engine share.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Engine, EngineOptions, Generation, GenerationOptions } from "../../engine/mod.ts";
import { Engine as GenerationEngine } from "../../engine/mod.ts";
import { type Decoder, generate } from "../../nn/mod.ts";
import { device } from "../../tensor/mod.ts";
import { uniforms } from "../support.ts";

/** Define a test whose tensors are all given back in the end. */
export function engineTest(name: string, body: () => Promise<void> | void): void {
  Deno.test(name, async () => {
    const before = device().memory;
    await body();
    const after = device().memory;
    assert.equal(after.inUse - before.inUse, 0, `${name}: bytes leaked`);
    assert.equal(after.blocks - before.blocks, 0, `${name}: blocks leaked`);
  });
}

/** Reproducible prompts of 1 to `longest` tokens. */
export function randomPrompts(
  count: number,
  longest: number,
  vocab: number,
  seed: number,
): number[][] {
  const next = uniforms(seed), below = (n: number): number => Math.floor(next() * n);
  return Array.from(
    { length: count },
    () => Array.from({ length: 1 + below(longest) }, () => below(vocab)),
  );
}

/** What nn's `generate()` continues prompts with. */
export function plainTokens(
  decoder: Decoder,
  prompts: readonly number[][],
  maxTokens: number,
): number[][] {
  const texts = prompts.map((): number[] => []);
  for (const { sequence, id } of generate(decoder, prompts, { maxTokens })) {
    texts[sequence].push(id);
  }
  return texts;
}

/** Steps until nothing is left to do. */
export function run(engine: Engine): void {
  while (engine.busy) engine.step();
}

/** The tokens of the first choice. */
export function tokensOf(request: Generation): readonly number[] {
  return request.completions[0].ids;
}

/** What an engine of its own continues one prompt with. */
export function alone(
  decoder: Decoder,
  prompt: readonly number[],
  options: GenerationOptions,
  sizes: EngineOptions = {},
): readonly number[] {
  using engine = new GenerationEngine(decoder, sizes);
  const request = engine.add({ ...options, prompt });
  run(engine);
  return tokensOf(request);
}
