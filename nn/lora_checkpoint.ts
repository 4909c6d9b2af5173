/**
 * Low-rank adapters in the files of Hugging Face's PEFT.
 *
 * @module
 */
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeAtomically } from "../tensor/mod.ts";
import { toHuggingFaceName } from "./checkpoint/huggingface_names.ts";
import { CheckpointError } from "./checkpoint/source.ts";
import { attachLora, linearLayers, type Lora, type LoraShape } from "./lora.ts";
import type { Module } from "./module.ts";
import { openState, type State, writeState } from "./state.ts";

const CONFIG_FILE = "adapter_config.json";
const WEIGHTS_FILE = "adapter_model.safetensors";
const FACTORS = { a: "lora_A", b: "lora_B" } as const;

/**
 * Writes adapters as a folder that PEFT loads: `adapter_config.json` and `adapter_model.safetensors`.
 *
 * @param base the name or path of the model that they adapt, for the config
 */
export function saveLora(lora: Lora, folder: string, base: string | null = null): void {
  const names = [...lora.layers.keys()].map(theirLayer);
  const state = lora.module.state();
  const entries = [...lora.layers.keys()].flatMap((layer) =>
    (["a", "b"] as const).map((factor) =>
      [theirName(layer, factor), state.get(`${layer}.adapter.${factor}`)!] as const
    )
  );
  const { rank, alpha, dropout, rankStabilized } = lora.shape;
  const config = {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: dropout,
    use_rslora: rankStabilized,
    target_modules: targetModules(lora.module, names),
    bias: "none",
    fan_in_fan_out: false,
    inference_mode: true,
  };
  mkdirSync(folder, { recursive: true });
  writeState(join(folder, WEIGHTS_FILE), new Map(entries));
  const text = new TextEncoder().encode(JSON.stringify(config, null, 2) + "\n");
  writeAtomically(join(folder, CONFIG_FILE), (write) => write(text));
}

/**
 * Puts the adapters of a PEFT folder beside the layers of a module, which is frozen.
 * Throws CheckpointError for adapters of another kind, and for tensors that do not fit.
 */
export function loadLora(module: Module, folder: string): Lora {
  const shape = readConfig(join(folder, CONFIG_FILE));
  using file = openState(join(folder, WEIGHTS_FILE));
  const all = linearLayers(module);
  const layers = new Map(
    all.entries().filter(([name]) => file.state.has(theirName(name, "a"))),
  );
  const entries: [string, string][] = [...layers.keys()].flatMap((layer) =>
    (["a", "b"] as const).map((
      f,
    ): [string, string] => [`${layer}.adapter.${f}`, theirName(layer, f)])
  );
  const known = new Set(entries.map(([, theirs]) => theirs));
  const surplus = [...file.state.keys()].filter((name) => !known.has(name));
  if (surplus.length > 0) {
    throw new CheckpointError(
      `lora: ${surplus.length} tensors of ${folder} belong to no linear layer (${file.state.size} given). ` +
        `Load the model that they adapt.\n  ${surplus.slice(0, 20).join("\n  ")}`,
    );
  }
  checkShapes(module, file.state, entries, shape.rank);
  const lora = attachLora(module, layers, shape);
  module.load(new Map(entries.map(([ours, theirs]) => [ours, file.state.get(theirs)!])), {
    strict: false,
  });
  return lora;
}

/** Before anything is made, so that a module is not left half adapted. */
function checkShapes(
  module: Module,
  state: State,
  entries: readonly [string, string][],
  rank: number,
): void {
  const parameters = module.namedParameters();
  for (const [ours, theirs] of entries) {
    const [out, size] = parameters.get(ours.replace(/adapter\.[ab]$/, "weight"))!.shape;
    const needed = ours.endsWith(".a") ? [rank, size] : [out, rank],
      given = state.get(theirs)?.shape;
    if (given && given.join() === needed.join()) continue;
    throw new CheckpointError(
      `lora: ${theirs} does not fit, ${given ? `[${given.join(", ")}]` : "it is missing"} ` +
        `([${needed.join(", ")}] needed). Load the model that it adapts.`,
    );
  }
}

function readConfig(path: string): Required<LoraShape> {
  const config = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
  const isEmpty = (value: unknown): boolean =>
    value === undefined || value === null || value === false || value === "none" ||
    Object.keys(value).length === 0;
  const odd = [
    "use_dora",
    "bias",
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "fan_in_fan_out",
  ]
    .find((key) => !isEmpty(config[key]));
  if (config.peft_type !== "LORA" || odd !== undefined || typeof config.r !== "number") {
    const what = odd === undefined
      ? `peft_type ${config.peft_type}`
      : `${odd} ${JSON.stringify(config[odd])}`;
    throw new CheckpointError(`lora: ${path} has ${what}, which is not supported. Use plain LoRA.`);
  }
  return {
    rank: config.r,
    alpha: Number(config.lora_alpha ?? config.r),
    dropout: Number(config.lora_dropout ?? 0),
    rankStabilized: config.use_rslora === true,
  };
}

/** Endings of names where these say which layers are adapted, else whole names. */
function targetModules(module: Module, names: readonly string[]): string[] {
  const ending = (name: string): string => name.slice(name.lastIndexOf(".") + 1);
  const endings = new Set(names.map(ending));
  const meant = [...linearLayers(module).keys()].filter((name) =>
    endings.has(ending(theirLayer(name)))
  );
  return meant.length === names.length ? [...endings] : [...names];
}

function theirLayer(layer: string): string {
  return toHuggingFaceName(`${layer}.weight`)?.replace(/\.weight$/, "") ?? layer;
}

function theirName(layer: string, factor: "a" | "b"): string {
  return `base_model.model.${theirLayer(layer)}.${FACTORS[factor]}.weight`;
}
