/**
 * `deno task summary`: what a model costs, counted from its description alone.
 *
 * @module
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  type DecoderSpec,
  formatSummary,
  fromHuggingFace,
  openCheckpoint,
  summarize,
  type Summary,
} from "../nn/mod.ts";
import { runCommand } from "./command.ts";
import { succeeded, UsageError } from "./errors.ts";
import { locateModel } from "./locate.ts";
import { type Command, flag, integer, required, text } from "./options.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";

const options = {
  model: required(
    text("MODEL", "A model as for generate, or a config.json alone; weights are not needed"),
  ),
  context: integer("N", "The sequence length to count for (default: the model's own)", {
    min: 1,
    max: 2 ** 40,
    fallback: undefined,
  }),
  json: flag("End with one line of JSON"),
};

const command: Command<typeof options> = {
  name: "summary",
  summary: "Parameters, KV cache, FLOPs and memory of a model, and of each of its blocks.",
  options,
  examples: ["--model ./model", "--model config.json --context 8192", "--model model.gguf --json"],
};

/** Runs the command; returns its exit code. */
export function main(args: readonly string[], terminal: Terminal): Promise<number> {
  return runCommand(command, args, terminal, async ({ model, context, json }) => {
    const place = await locateModel(model, terminal, (file) => file === "config.json");
    const summary = summarize(readSpec(place), context);
    terminal.write(`${headline(summary)}\n\n${formatSummary(summary)}\n`);
    if (json) terminal.write(JSON.stringify({ model, ...summary }) + "\n");
    return succeeded;
  });
}

/** The spec of a checkpoint, of which only headers are read; a folder needs nothing but its config. */
function readSpec(place: string): DecoderSpec {
  const config = statSync(place).isDirectory() ? join(place, "config.json") : place;
  if (config.endsWith(".json")) return fromHuggingFace(readConfig(config));
  using source = openCheckpoint(place);
  return source.spec;
}

function readConfig(path: string): Record<string, unknown> {
  if (!existsSync(path)) {
    throw new UsageError(`summary: there is no ${path}. Give a model's folder or its config.json.`);
  }
  let config: unknown;
  try {
    config = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new UsageError(`summary: ${path} is not JSON, ${error.message}. Download it again.`);
  }
  if (typeof config === "object" && config !== null && !Array.isArray(config)) {
    return config as Record<string, unknown>;
  }
  throw new UsageError(`summary: ${path} is not a JSON object. Give a model's config.json.`);
}

function headline({ parameters, counts }: Summary): string {
  const [unit, size] = parameters.total >= 1e9 ? ["B", 1e9] : ["M", 1e6];
  return `${(parameters.total / size).toFixed(3)} ${unit} parameters, ` +
    `attention in ${counts.attention} of ${counts.blocks} blocks`;
}

if (import.meta.main) Deno.exit(await main(Deno.args, systemTerminal()));
