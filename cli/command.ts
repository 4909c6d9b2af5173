/**
 * What all commands do alike: parse, help, and errors as one line and an exit code.
 *
 * @module
 */
import { exitCodeOf, succeeded } from "./errors.ts";
import { helpOf } from "./help.ts";
import { type Command, type OptionTable, parseOptions, type Values } from "./options.ts";
import type { Terminal } from "./terminal.ts";

/** Runs a command and returns its exit code. Only defects of the program are thrown. */
export async function runCommand<O extends OptionTable>(
  command: Command<O>,
  args: readonly string[],
  terminal: Terminal,
  body: (values: Values<O>) => number | Promise<number>,
): Promise<number> {
  try {
    const values = parseOptions(command, args);
    if (values !== null) return await body(values);
    terminal.write(helpOf(command, Math.min(terminal.columns, 100)) + "\n");
    return succeeded;
  } catch (error) {
    // Whoever read the output, as head does, has had enough of it.
    if (error instanceof Deno.errors.BrokenPipe) return succeeded;
    const code = exitCodeOf(error);
    if (code === null) throw error;
    terminal.report(messageOf(error as Error, command.name) + "\n");
    return code;
  }
}

/** Every line of ours says who speaks. */
function messageOf({ message }: Error, name: string): string {
  return /^[\w.]+( \w+)*: /.test(message) ? message : `${name}: ${message}`;
}
