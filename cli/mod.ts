/**
 * All commands as one program, for those who have the package and not its repository:
 *
 * ```sh
 * deno run -A jsr:@denotron/denotron/cli train --dry-run
 * deno install -gA -n denotron jsr:@denotron/denotron/cli
 * denotron serve --model ./model
 * ```
 *
 * `deno task train …` in the repository is `denotron train …` here; messages and help say the former.
 *
 * @module
 */
import { nearest } from "../text/spelling.ts";
import { UsageError } from "./errors.ts";
import { runCommand } from "./command.ts";
import type { Command, OptionTable } from "./options.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";

export type { Terminal } from "./terminal.ts";

/** Commands are loaded when they are asked for. */
const commands = {
  train: () => import("./train.ts"),
  runs: () => import("./runs.ts"),
  eval: () => import("./eval.ts"),
  inspect: () => import("./inspect.ts"),
  serve: () => import("./serve.ts"),
  generate: () => import("./generate.ts"),
  chat: () => import("./chat.ts"),
  summary: () => import("./summary.ts"),
  convert: () => import("./convert.ts"),
  doctor: () => import("./doctor.ts"),
} as const;

const names = Object.keys(commands) as (keyof typeof commands)[];

/**
 * Runs a command with its arguments, such as `["summary", "--model", "./model"]`; returns its exit code: 0, 1 when it
 * failed, 2 when it was asked wrongly, 130 when it was interrupted. What it writes goes to the terminal.
 *
 * @example
 * ```ts ignore
 * import { runDenotron } from "@denotron/denotron/cli";
 * import assert from "node:assert/strict";
 *
 * assert.equal(await runDenotron(["runs", "--runs", "nowhere"]), 0);
 * ```
 */
export async function runDenotron(
  [name, ...args]: readonly string[],
  terminal: Terminal = systemTerminal(),
): Promise<number> {
  const command = names.find((known) => known === name);
  if (command !== undefined) return (await commands[command]()).main(args, terminal);
  const isHelp = name === undefined || name === "--help";
  return runCommand(unnamed, [], terminal, () => {
    if (!isHelp) throw new UsageError(unknown(name));
    terminal.write(`usage: denotron COMMAND [options]\n\n  ${names.join("\n  ")}\n`);
    return 0;
  });
}

const unnamed: Command<OptionTable> = { name: "denotron", summary: "", options: {}, examples: [] };

function unknown(name: string): string {
  const meant = nearest(name, names);
  const fix = meant === null ? `Choose one of ${names.join(", ")}.` : `Did you mean ${meant}?`;
  return `denotron: there is no command "${name}". ${fix}`;
}

if (import.meta.main) Deno.exit(await runDenotron(Deno.args));
