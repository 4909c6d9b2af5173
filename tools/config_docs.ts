/**
 * Writes `docs/config.md`, every key of every stage, from the schemas: `deno run -A tools/config_docs.ts`.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { type ConfigSchema, fieldsOf, flagOf } from "../train/config/fields.ts";
import { distillSchema, puzzleSchema } from "../train/config/search_schema.ts";
import { recipeSchema } from "../train/config/recipe_schema.ts";
import { pretrainSchema, sftSchema } from "../train/config/schema.ts";

/** Where the page is. */
export const configDocs: string = fileURLToPath(new URL("../docs/config.md", import.meta.url));

/** The page. */
export function configPage(): string {
  return [
    "# Configuration",
    "",
    "Written by `tools/config_docs.ts` from the schemas in `train/config/schema.ts`. Each key can stand in a YAML file",
    "(`--config FILE`) or on the command line, where it wins: `kvHeads` in `shape` is `--shape.kv-heads`. A recipe may put keys under",
    "`assumed`, to mark them as its own choice: they count as if they stood above it, and dry runs tell them apart.",
    ...section("deno task train", recipeSchema, defaults()),
    ...section("deno task train pretrain", pretrainSchema),
    ...section("deno task train sft", sftSchema),
    ...section("deno task train puzzle", puzzleSchema),
    ...section("deno task train distill", distillSchema),
    "",
  ].join("\n");
}

/** What the recipe that comes with the package says. */
function defaults(): Record<string, unknown> {
  const place = new URL("../train/recipes/default.yaml", import.meta.url);
  return parse(Deno.readTextFileSync(place)) as Record<string, unknown>;
}

function section(
  title: string,
  schema: ConfigSchema,
  base: Readonly<Record<string, unknown>> = {},
): string[] {
  const rows = fieldsOf(schema, base).map(({ path, placeholder, fallback, help }) =>
    [
      `\`${path.join(".")}\``,
      `\`${flagOf(path)} ${placeholder.replaceAll("|", "\\|")}\``,
      fallback === undefined || fallback === null ? "" : `\`${JSON.stringify(fallback)}\``,
      help,
    ].join(" | ")
  );
  return [
    "",
    `## \`${title}\``,
    "",
    "key | option | default | what it does",
    "--- | --- | --- | ---",
    ...rows,
  ];
}

if (import.meta.main) Deno.writeTextFileSync(configDocs, configPage());
