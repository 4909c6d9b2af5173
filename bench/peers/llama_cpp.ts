/**
 * llama.cpp on the same weights, in the same run, through node-llama-cpp.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ggufOfVocabulary } from "../../cli/gguf_vocabulary.ts";
import { type Decoder, parameters, writeGgufCheckpoint } from "../../nn/mod.ts";

/** What is generated. */
export interface LlamaCppRequest {
  readonly weights: keyof typeof stored;
  readonly threads: number;
  readonly promptTokens: number;
  readonly newTokens: number;
  readonly runs: number;
}

const stored = { f32: "f32", bf16: "bf16", int8: "q8_0" } as const;

/**
 * Tokens per second of one stream. `DENOTRON_LLAMA_CPP` names the folder where `npm i node-llama-cpp` was run;
 * without it, or where it does not work, undefined.
 */
export function llamaCppTokens(decoder: Decoder, request: LlamaCppRequest): number | undefined {
  const folder = Deno.env.get("DENOTRON_LLAMA_CPP");
  if (folder === undefined) return undefined;
  const { weights, threads, promptTokens, newTokens, runs } = request;
  const script = fileURLToPath(new URL("llama_cpp.mjs", import.meta.url));
  const work = Deno.makeTempDirSync();
  try {
    const model = join(work, "model.gguf");
    writeModel(model, decoder, stored[weights]);
    const { success, stdout } = new Deno.Command("node", {
      args: [
        script,
        folder,
        model,
        ...[threads, promptTokens, newTokens, runs].map(String),
      ],
      stderr: "inherit",
    }).outputSync();
    if (success) return Number(new TextDecoder().decode(stdout).trim().split("\n").at(-1));
    console.error(`peer: node-llama-cpp in ${folder} failed; its figures are left out.`);
    return undefined;
  } finally {
    Deno.removeSync(work, { recursive: true });
  }
}

/** The weights with a vocabulary of made-up names, which llama.cpp insists on: it begins with roles and bytes. */
function writeModel(path: string, decoder: Decoder, dtype: "f32" | "bf16" | "q8_0"): void {
  const { vocab } = decoder.spec;
  const roles = ["<unk>", "<s>", "</s>"], firstWord = roles.length + 256;
  const byteName = (byte: number): string =>
    `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
  const tokens = Array.from(
    { length: vocab },
    (_, id) => id < firstWord ? roles[id] ?? byteName(id - roles.length) : `word${id}`,
  );
  const typeOf = (id: number): number =>
    id === 0 ? 2 : id < roles.length ? 3 : id < firstWord ? 6 : 1;
  const vocabulary = {
    ...{ model: "llama", tokens, scores: tokens.map((_, id) => -id) } as const,
    ...{ types: tokens.map((_, id) => typeOf(id)), bos: 1, eos: [2], unk: 0 },
  };
  const state = decoder.state();
  const entries = new Map(parameters(decoder.spec).map(({ name }) => [name, state.get(name)!]));
  const metadata = ggufOfVocabulary(vocabulary, vocab);
  writeGgufCheckpoint(path, { spec: decoder.spec, entries }, { dtype, metadata });
}
