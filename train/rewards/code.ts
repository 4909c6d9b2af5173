/**
 * Programs that a model wrote, run and tested.
 *
 * @module
 */
import type { Reward, RewardRow } from "./reward.ts";
import { readAtMost, Sandbox, type SandboxLimits } from "./sandbox.ts";

/** What a program may use. */
export interface ProgramLimits extends SandboxLimits {
  /** How long it may run, in milliseconds; 3,000 by default. */
  readonly timeoutMs?: number;
  /** How much it may write, in bytes; 65,536 by default. */
  readonly outputBytes?: number;
  /** Ends it. */
  readonly signal?: AbortSignal | undefined;
}

/** How a program ended. */
export interface ProgramResult {
  /** Whether it ended itself, without an error. */
  readonly ok: boolean;
  /** What it wrote. */
  readonly output: string;
  /** Why it failed: what it wrote about errors, or which limit it met. */
  readonly error: string;
}

/**
 * Takes the program from the beginning of its input, and runs it: what remains is the program's own input. Imported
 * while nothing is allowed, it cannot import files either.
 */
const launcher = `
function read(bytes: number): Uint8Array {
  const buffer = new Uint8Array(bytes);
  for (let at = 0; at < bytes;) at += Deno.stdin.readSync(buffer.subarray(at)) ?? bytes;
  return buffer;
}
const program = read(new DataView(read(4).buffer).getUint32(0));
await import("data:application/typescript;base64," + program.toBase64());
`;

/**
 * Runs a TypeScript or JavaScript program without any permission, within limits.
 *
 * @example
 * ```ts
 * import { runProgram } from "@denotron/denotron/train";
 * import assert from "node:assert/strict";
 *
 * const program = "console.log((await new Response(Deno.stdin.readable).text()).length)";
 * assert.equal((await runProgram(program, "four")).output, "4\n");
 * assert.equal((await runProgram("Deno.readTextFileSync('/etc/passwd')")).ok, false);
 * ```
 */
export async function runProgram(
  program: string,
  input = "",
  { timeoutMs = 3000, outputBytes = 65_536, signal, ...limits }: ProgramLimits = {},
): Promise<ProgramResult> {
  await using sandbox = new Sandbox({ source: launcher }, limits);
  const timer = setTimeout(() => sandbox.kill(`ran too long (${timeoutMs} ms)`), timeoutMs);
  const abort = (): void => sandbox.kill("given up");
  signal?.addEventListener("abort", abort, { once: true });
  const readAll = async (stream: ReadableStream<Uint8Array>): Promise<string> => {
    const text = await readAtMost(stream, outputBytes);
    if (text === null) sandbox.kill(`wrote too much (${outputBytes} bytes)`);
    return text ?? "";
  };
  // A program need not read its input.
  const feeding = feed(sandbox, program, input).catch(() => {});
  const [output, errors] = await Promise.all([readAll(sandbox.stdout), readAll(sandbox.stderr)]);
  const { success } = await sandbox.status;
  await feeding;
  clearTimeout(timer);
  signal?.removeEventListener("abort", abort);
  return { ok: success && sandbox.reason === null, output, error: sandbox.reason ?? errors };
}

async function feed(sandbox: Sandbox, program: string, input: string): Promise<void> {
  const encoder = new TextEncoder(), bytes = encoder.encode(program);
  const head = new Uint8Array(4);
  new DataView(head.buffer).setUint32(0, bytes.length);
  const writer = sandbox.stdin.getWriter();
  for (const chunk of [head, bytes, encoder.encode(input)]) await writer.write(chunk);
  await writer.close();
}

/** The last fenced block of TypeScript or JavaScript, else the last fenced block, else null. */
export function extractProgram(completion: string): string | null {
  const blocks = [...completion.matchAll(/^```([\w+-]*)[^\n]*\n([^]*?)^```/gm)];
  const known = blocks.filter(([, language]) =>
    /^(?:ts|js|typescript|javascript|tsx|jsx|mjs)$/i.test(language)
  );
  return (known.at(-1) ?? blocks.at(-1))?.[2] ?? null;
}

/** What a program is given, and what it has to write. */
interface ProgramTest {
  readonly input: string;
  readonly output: string;
}

function testsOf(row: RewardRow): ProgramTest[] {
  const tests = Array.isArray(row.tests) ? row.tests : [];
  const valid = tests.every((test) =>
    typeof test?.output === "string" && ["string", "undefined"].includes(typeof test?.input)
  );
  if (valid && tests.length > 0) return tests.map(({ input = "", output }) => ({ input, output }));
  throw new TypeError(
    `codeReward: the row's "tests" must be a list of { input, output } (${tests.length} found).`,
  );
}

/** How programs are judged. */
export interface CodeRewardOptions extends Omit<ProgramLimits, "signal"> {
  /** Whether the score is the share of tests that pass; by default all must pass for 1. */
  readonly partial?: boolean;
}

/**
 * Runs the program in a completion with the input of each of the row's `tests`; it passes those whose `output` it writes,
 * but for white space at the ends of lines.
 */
export function codeReward({ partial = false, ...limits }: CodeRewardOptions = {}): Reward {
  return async ({ text }, row, signal) => {
    const tests = testsOf(row), program = extractProgram(text);
    if (program === null) return 0;
    let passed = 0;
    for (const { input, output } of tests) {
      const result = await runProgram(program, input, { ...limits, signal });
      if (result.ok && comparable(result.output) === comparable(output)) passed++;
      else if (!partial) return 0;
    }
    return passed / tests.length;
  };
}

function comparable(output: string): string {
  return output.split("\n").map((line) => line.trimEnd()).join("\n").trimEnd();
}
