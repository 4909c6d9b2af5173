/**
 * The published stories260K model against numbers of a float64 implementation.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  Decoder,
  generate,
  openCheckpoint,
  writeGgufCheckpoint,
  writeHuggingFace,
} from "../../nn/mod.ts";
import { noGrad, scope, Tensor } from "../../tensor/mod.ts";
import { assertClose } from "../support.ts";
import { hasShared, SHARED, withFolder } from "./specs.ts";

const folder = "models/stories260K/";
const ignore = !hasShared(folder);
const close = { absolute: 1e-4, relative: 0 };

interface Reference {
  readonly greedy_from_bos_ids: number[];
  readonly prompt_ids: number[];
  readonly prompt_greedy_ids: number[];
  readonly prompt_first_logits: number[];
  readonly prompt_last_logits: number[];
  readonly tinystories_sample_first_story_ids: number[];
  readonly tinystories_sample_nll: number[];
}

const shared = (path: string): string => fileURLToPath(new URL(folder + path, SHARED));
const reference = (): Reference =>
  JSON.parse(Deno.readTextFileSync(shared("derived_reference.json")));
const row = (ids: readonly number[]): Tensor => Tensor.from(ids, [1, ids.length], { dtype: "i32" });

/** The model from its own file, and from what that converts to. */
async function eachFormat(test: (decoder: Decoder, format: string) => void): Promise<void> {
  await withFolder((temporary) => {
    using source = openCheckpoint(shared("stories260K.bin"));
    writeHuggingFace(`${temporary}/hf`, source);
    writeGgufCheckpoint(`${temporary}/model.gguf`, source);
    for (const path of [shared("stories260K.bin"), `${temporary}/hf`, `${temporary}/model.gguf`]) {
      using decoder = Decoder.load(path, { train: false });
      scope(() => noGrad(() => test(decoder, path)));
    }
  });
}

Deno.test({
  name: "stories260K gives the logits of the float64 reference, from every format",
  ignore,
  fn: () =>
    eachFormat((decoder, format) => {
      const { prompt_ids, prompt_first_logits, prompt_last_logits } = reference();
      const logits = decoder.logits(row(prompt_ids));
      const at = (token: number) => logits.select(0, 0).select(0, token).data();
      assertClose(at(0), prompt_first_logits, close, `${format}, first token`);
      assertClose(at(-1), prompt_last_logits, close, `${format}, last token`);
    }),
});

Deno.test({
  name: "stories260K gives each token of a story the negative log-likelihood of the reference",
  ignore,
  fn: () =>
    eachFormat((decoder, format) => {
      const { tinystories_sample_first_story_ids: ids, tinystories_sample_nll: nll } = reference();
      const logP = decoder.logits(row(ids.slice(0, -1))).logSoftmax(-1);
      const targets = Tensor.from(ids.slice(1), [1, ids.length - 1, 1], { dtype: "i32" });
      assertClose(logP.gather(2, targets).neg().data(), nll, close, format);
    }),
});

Deno.test({
  name: "stories260K continues greedily with the ids of the reference",
  ignore,
  fn: () =>
    eachFormat((decoder, format) => {
      const { greedy_from_bos_ids: ids, prompt_ids, prompt_greedy_ids } = reference();
      for (const [prompt, expected] of [[[1], ids], [prompt_ids, prompt_greedy_ids]] as const) {
        const maxTokens = expected.length - prompt.length;
        const made = [...generate(decoder, [prompt], { maxTokens })].map(({ id }) => id);
        assert.deepEqual([...prompt, ...made], expected, format);
      }
    }),
});
