/**
 * The options of `train`: one for each key of a stage's configuration, and a few of its own.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { readSource } from "../ffi/mod.ts";
import { ConfigError } from "../train/config/errors.ts";
import { type ConfigSchema, type Field, fieldsOf, flagValue } from "../train/config/fields.ts";
import { type FlagValue, resolveConfig } from "../train/config/resolve.ts";
import { parseYamlFile, type YamlFile } from "../train/config/yaml_file.ts";
import type { z } from "zod";
import { flag, integer, type Option, type OptionTable, path, text, userPath } from "./options.ts";

/** Options of `train` that are no keys of a configuration. */
export interface OwnOptions extends OptionTable {
  readonly config: Option<string | undefined>;
  readonly runs: Option<string | undefined>;
  readonly resume: Option<string | undefined>;
  readonly dryRun: Option<boolean>;
  readonly threads: Option<number | undefined>;
  readonly json: Option<boolean>;
}

/** See {@linkcode OwnOptions}. */
export const ownOptions: OwnOptions = {
  config: path("FILE", "A YAML file with any of the keys below; options given here win over it"),
  runs: path("DIR", "Where runs are kept (default: runs)"),
  resume: {
    ...text("RUN", "Go on with a run: with the newest one that is unfinished, or the one named"),
    bare: "newest",
  },
  dryRun: flag("Say what would be trained, in how much memory and time, and train nothing"),
  threads: integer("N", "CPU threads (default: all)", { min: 1, max: 256, fallback: undefined }),
  json: flag("End with one line of JSON"),
};

/** Options for the keys of a configuration, by their names in camel case: `shape.kvHeads` is `--shape.kv-heads`. */
export function configOptions(
  schema: ConfigSchema,
  base: Readonly<Record<string, unknown>> = {},
): Record<string, Option<readonly string[]>> {
  return Object.fromEntries(
    fieldsOf(schema, base).map((field) => [field.path.join("."), optionOf(field)]),
  );
}

function optionOf(field: Field): Option<readonly string[]> {
  const { help, fallback, placeholder, isSwitch } = field;
  const isTold = fallback === undefined || fallback === null || /\(default/.test(help);
  return {
    placeholder,
    help: isTold ? help : `${help} (default ${fallback})`,
    ...isSwitch ? { bare: "true" } : {},
    read: (given) => given,
  };
}

/** The configuration that options make of a file, and a file of a base. Throws ConfigError for everything that is wrong with it. */
export function readConfig<S extends ConfigSchema>(
  schema: S,
  file: YamlFile | null,
  values: Readonly<Record<string, unknown>>,
  base: Readonly<Record<string, unknown>> = {},
): z.output<S> {
  const flags = fieldsOf(schema).flatMap((field): FlagValue[] => {
    const given = values[field.path.join(".")] as readonly string[] | undefined;
    return given === undefined || given.length === 0
      ? []
      : [{ path: field.path, value: flagValue(field, given) }];
  });
  return resolveConfig(schema, { base, file, flags });
}

/** Recipes that come with the package. */
const recipes: readonly string[] = [
  "default.yaml",
  "gsm8k.yaml",
  "llama-nemotron-nano.yaml",
  "llama-nemotron-super.yaml",
  "llama-nemotron-ultra.yaml",
  "tinystories.yaml",
];

/** One of them. */
export function readRecipe(name: string): YamlFile {
  const place = new URL(`../train/recipes/${name}`, import.meta.url);
  return parseYamlFile(name, readSource(place));
}

/** A YAML file by the path that a user gave, or one of `recipes/` that comes with the package. Throws ConfigError where there is none, and for malformed ones. */
export function readYaml(given: string): YamlFile {
  const place = userPath(given);
  try {
    return parseYamlFile(given, readFileSync(place, "utf8"));
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOENT") throw error;
    const [, name] = /^recipes\/(\w[\w.-]*\.yaml)$/.exec(given) ?? [];
    if (name !== undefined && recipes.includes(name)) return readRecipe(name);
    throw new ConfigError([
      `there is no file ${given}. Check --config, or choose one of ${
        recipes.map((one) => `recipes/${one}`).join(", ")
      }.`,
    ]);
  }
}
