/**
 * What a command reads and writes: the process's own streams, or those of a test.
 *
 * @module
 */
import { styleText } from "node:util";

/** Where a command's text goes, and what is known about the place. */
export interface Terminal {
  /** Whether stdin, stdout and stderr are a person's screen and keyboard. */
  readonly isInteractive: {
    readonly input: boolean;
    readonly output: boolean;
    readonly errors: boolean;
  };
  /** Characters in a line. */
  readonly columns: number;
  /** What is typed or piped in. */
  readonly input: ReadableStream<Uint8Array>;
  /** Writes results: to stdout. */
  write(text: string): void;
  /** Writes about the results, as timings and errors: to stderr. */
  report(text: string): void;
  /** Runs something that Ctrl-C or SIGTERM stops; a second one ends the process. */
  interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

const usualColumns = 80;
/** `deno task` passes on the Ctrl-C that the keyboard sends to both: it is one, not two. */
const sameKeyPressMs = 200;

/** Ctrl-C, and what asks a process to end; Windows has no such thing. */
const endingSignals: readonly Deno.Signal[] = Deno.build.os === "windows"
  ? ["SIGINT"]
  : ["SIGINT", "SIGTERM"];

/** The streams of this process. */
export function systemTerminal(): Terminal {
  const encoder = new TextEncoder();
  const writer = (stream: { writeSync(bytes: Uint8Array): number }) => (text: string): void => {
    const bytes = encoder.encode(text);
    for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
  };
  const isInteractive = {
    input: Deno.stdin.isTerminal(),
    output: Deno.stdout.isTerminal(),
    errors: Deno.stderr.isTerminal(),
  };
  return {
    isInteractive,
    get columns() {
      return isInteractive.output ? Deno.consoleSize().columns || usualColumns : usualColumns;
    },
    get input() {
      return Deno.stdin.readable;
    },
    write: writer(Deno.stdout),
    report: writer(Deno.stderr),
    interruptible,
  };
}

async function interruptible<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let firstAt: number | null = null;
  const onInterrupt = (): void => {
    const now = performance.now();
    firstAt ??= now;
    if (now - firstAt > sameKeyPressMs) Deno.exit(130);
    controller.abort();
  };
  for (const name of endingSignals) Deno.addSignalListener(name, onInterrupt);
  try {
    return await body(controller.signal);
  } finally {
    for (const name of endingSignals) Deno.removeSignalListener(name, onInterrupt);
  }
}

/** What a model wrote, without the control characters that a screen would obey. */
export function printable(text: string, { isInteractive }: Terminal): string {
  // deno-lint-ignore no-control-regex
  return isInteractive.output ? text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/g, "\ufffd") : text;
}

/** Grey text on a screen, plain text in a file. */
export function dim(text: string, { isInteractive }: Terminal): string {
  const coloured = isInteractive.errors && !Deno.env.get("NO_COLOR");
  return coloured ? styleText("dim", text, { validateStream: false }) : text;
}
