/**
 * Help, from the same table that parses the command line.
 *
 * @module
 */
import { type Command, optionName, type OptionTable } from "./options.ts";

/** The help of a command, no wider than `columns`. */
export function helpOf<O extends OptionTable>(command: Command<O>, columns: number): string {
  const { name, summary, options, examples, notes = [] } = command;
  const rows = Object.entries(options).map(([key, { placeholder, help }]) =>
    [[optionName(key), placeholder].filter(Boolean).join(" "), help] as const
  );
  const longest = Math.max(...rows.map(([left]) => left.length).filter((length) => length <= 24));
  return [
    ...wrap(summary, columns),
    "",
    `usage: deno task ${name} [options]`,
    "",
    "options:",
    ...[...rows, ["--help", "Show this"] as const].flatMap((row) =>
      describe(row, longest, columns)
    ),
    "",
    "examples:",
    ...examples.map((example) => `  deno task ${name} ${example}`.trimEnd()),
    ...notes.flatMap((note) => ["", ...wrap(note, columns)]),
  ].join("\n");
}

/** An option and what it does, beside each other when there is room. */
function describe(
  [left, right]: readonly [string, string],
  width: number,
  columns: number,
): string[] {
  const indent = " ".repeat(width + 4);
  const lines = wrap(right, Math.max(20, columns - indent.length));
  const [first, rest] = left.length <= width ? [lines[0], lines.slice(1)] : ["", lines];
  return [`  ${left.padEnd(width)}  ${first}`.trimEnd(), ...rest.map((line) => indent + line)];
}

/** Breaks text between words; a word longer than `columns` gets a line of its own. */
export function wrap(text: string, columns: number): string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines.at(-1)!;
    if (line !== "" && line.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = line === "" ? word : `${line} ${word}`;
  }
  return lines;
}
