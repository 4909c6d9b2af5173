/**
 * Times of the engine, which evaluation, rollouts and the server run on.
 *
 * @module
 */
import { Engine } from "../../engine/mod.ts";
import type { DecodePath } from "./measure.ts";

/** The engine with a full batch: one forward pass over a token of each sequence, and greedy choices. */
export const enginePath: DecodePath = {
  name: "engine",
  open(decoder, batch, { promptTokens, newTokens }) {
    const longest = promptTokens + newTokens, blockTokens = 16, { vocab } = decoder.spec;
    const blocks = batch * Math.ceil(longest / blockTokens);
    const engine = new Engine(decoder, {
      blockTokens,
      kvTokens: blocks * blockTokens,
      maxRunning: batch,
      prefixReuse: false,
    });
    let running: ReturnType<Engine["add"]>[] = [];
    const start = (tokens: number): void => {
      for (const generation of running) engine.cancel(generation);
      running = Array.from({ length: batch }, (_, s) => {
        const prompt = Array.from({ length: tokens }, (_, i) => (s * tokens + i) * 7919 % vocab);
        return engine.add({ prompt, maxTokens: longest - tokens });
      });
      let waiting = batch; // for their first token
      while (waiting > 0) waiting -= engine.step().length;
    };
    return {
      prefill: () => start(promptTokens),
      settle: () => start(promptTokens + Math.floor(newTokens / 2)),
      decode: () => void engine.step(),
      [Symbol.dispose]: () => engine[Symbol.dispose](),
    };
  },
};
