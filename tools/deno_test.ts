/**
 * Runs `deno test` and counts.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exists } from "./files.ts";
import { countTests, type TestCounts } from "./junit.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const nothing: TestCounts = { passed: 0, failed: 0, skipped: [] };

/** How a run of `deno test` ended. */
export interface TestRun {
  /** Whether everything passed. */
  readonly ok: boolean;
  readonly counts: TestCounts;
  /** What ended the process before it was done; null when nothing did. */
  readonly signal: Deno.Signal | null;
  /** What it printed, where that was asked for. */
  readonly output: string;
}

/**
 * Runs `deno test -A` with these arguments in the project's folder; files run on a thread each unless `env` says
 * otherwise. It prints on our output, or into the result when `captured`.
 */
export async function runDenoTest(
  args: readonly string[],
  { env = {}, captured = false }: {
    readonly env?: Readonly<Record<string, string>>;
    readonly captured?: boolean;
  } = {},
): Promise<TestRun> {
  const directory = await Deno.makeTempDir({ prefix: "denotron-test-" });
  try {
    const report = join(directory, "report.xml"), stream = captured ? "piped" : "inherit";
    const child = new Deno.Command(Deno.execPath(), {
      args: ["test", "-A", `--junit-path=${report}`, ...args],
      cwd: root,
      env: { DENOTRON_THREADS: Deno.env.get("DENOTRON_THREADS") ?? "1", ...env },
      stdout: stream,
      stderr: stream,
    }).spawn();
    const printed = captured
      ? await child.output()
      : { stdout: new Uint8Array(), stderr: new Uint8Array() };
    const { success, signal } = await child.status;
    const decoder = new TextDecoder();
    return {
      ok: success,
      counts: exists(report) ? countTests(await Deno.readTextFile(report)) : nothing,
      signal,
      output: decoder.decode(printed.stdout) + decoder.decode(printed.stderr),
    };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The line that a run of tests ends with. */
export function countLine({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed, ${skipped.length} skipped`;
}
