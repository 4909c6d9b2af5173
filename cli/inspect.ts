/**
 * `deno task inspect`: rows of data as a model learns them.
 *
 * @module
 */
import { openCheckpoint } from "../nn/mod.ts";
import { describeRows } from "../train/data/inspect.ts";
import { openRows } from "../train/data/mod.ts";
import { runCommand } from "./command.ts";
import { succeeded, UsageError } from "./errors.ts";
import { locateModel } from "./locate.ts";
import { modelOptions, openTokenizer } from "./model.ts";
import { type Command, integer, texts, userPath } from "./options.ts";
import { dim, systemTerminal, type Terminal } from "./terminal.ts";

const options = {
  data: texts("PATH", "A file or folder of rows; may be given more than once"),
  model: modelOptions.model,
  tokenizer: modelOptions.tokenizer,
  from: integer("N", "The first row to show, from 1", { min: 1, fallback: 1 }),
  rows: integer("N", "How many rows to show", { min: 1, fallback: 3 }),
  context: integer("N", "The longest sequence, in tokens (default: the model's)", {
    min: 2,
    fallback: undefined,
  }),
};

const command: Command<typeof options> = {
  name: "inspect",
  summary: "Shows rows as tokens of a model: green, or in brackets, is what is learned.",
  options,
  examples: ["--data rows.jsonl --model ./model", "--data rows.parquet --from 100 --rows 1"],
};

/** Runs the command; returns its exit code. */
export function main(args: readonly string[], terminal: Terminal): Promise<number> {
  return runCommand(command, args, terminal, async (values) => {
    if (values.data.length === 0) {
      throw new UsageError("inspect: --data is missing. Give it a PATH, or see --help.");
    }
    const place = await locateModel(values.model, terminal, (file) => !/safetensors/.test(file));
    using source = openCheckpoint(place);
    const tokenizer = await openTokenizer(place, source, values.tokenizer);
    const tell = (line: string): void => terminal.report(dim(line, terminal) + "\n");
    using rows = await openRows(values.data.map(userPath), { tell });
    if (values.from > rows.count) {
      throw new UsageError(
        `inspect: --from is beyond the last row, ${values.from} given (${rows.count} rows). Lower it.`,
      );
    }
    const lines = await describeRows(rows, {
      tokenizer,
      context: values.context ?? source.spec.context,
      from: values.from - 1,
      rows: values.rows,
      color: terminal.isInteractive.output && !Deno.env.get("NO_COLOR"),
    });
    terminal.write(lines.join("\n") + "\n");
    return succeeded;
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args, systemTerminal()));
