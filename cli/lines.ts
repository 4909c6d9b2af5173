/**
 * Lines that somebody types or pipes in.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import type { Terminal } from "./terminal.ts";

/** Asks for lines, one at a time. */
export interface LineReader {
  /** The next line; null when there are no more. `prompt` is shown to a person only. */
  next(prompt: string): Promise<string | null>;
}

/** The lines of a terminal: with editing and history for a person, as they come from a pipe. */
export function readLines(terminal: Terminal): LineReader {
  const { input, output } = terminal.isInteractive;
  return input && output ? typedLines(terminal) : pipedLines(terminal);
}

function pipedLines({ input }: Terminal): LineReader {
  const reader = input.pipeThrough(new TextDecoderStream()).getReader();
  let [pending, ended] = ["", false];
  const next = async (): Promise<string | null> => {
    while (!pending.includes("\n") && !ended) {
      const { value, done } = await reader.read();
      [pending, ended] = [pending + (value ?? ""), done];
    }
    if (pending === "") return null;
    const end = pending.includes("\n") ? pending.indexOf("\n") : pending.length;
    const line = pending.slice(0, end).replace(/\r$/, "");
    pending = pending.slice(end + 1);
    return line;
  };
  return { next };
}

/** A new interface for each line: between lines the screen is in its usual mode, in which Ctrl-C is a signal. */
function typedLines(terminal: Terminal): LineReader {
  const pasted: string[] = [];
  let history: string[] = [];
  const next = (prompt: string): Promise<string | null> => {
    if (pasted.length > 0) return Promise.resolve(pasted.shift()!);
    const lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      history: [...history],
      prompt,
    });
    return new Promise((resolve) => {
      lines.on("history", (newer: string[]) => history = [...newer]);
      lines.on("SIGINT", () => {
        terminal.report("\n(Ctrl-D or /exit ends)\n");
        // Ctrl-U: forget what was typed.
        lines.write(null, { ctrl: true, name: "u" });
        lines.prompt();
      });
      lines.on("line", (line) => {
        pasted.push(line);
        lines.close();
      });
      lines.on("close", () => resolve(pasted.shift() ?? null));
      lines.prompt();
    });
  };
  return { next };
}
