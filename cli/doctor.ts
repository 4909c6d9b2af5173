/**
 * `deno task doctor`: what this machine offers, what is used of it, and whether it computes right.
 *
 * @module
 */
import { runCommand } from "./command.ts";
import { failed, succeeded } from "./errors.ts";
import { describeGpu } from "./gpu.ts";
import { wrap } from "./help.ts";
import { type Command, flag } from "./options.ts";
import { formatBytes } from "./progress.ts";
import { selfTest } from "./self_test.ts";
import { type Findings, inspect } from "./machine.ts";
import { systemTerminal, type Terminal } from "./terminal.ts";

const options = { json: flag("End with one line of JSON") };

const command: Command<typeof options> = {
  name: "doctor",
  summary:
    "What this machine offers, what is used of it and why, what would help, and a self-test.",
  options,
  examples: ["", "--json"],
  notes: ["The exit code is 1 when the self-test fails, 0 otherwise."],
};

/** Runs the command; returns its exit code. */
export function main(args: readonly string[], terminal: Terminal): Promise<number> {
  return runCommand(command, args, terminal, ({ json }) => {
    const findings = inspect();
    terminal.write(`${describe(findings, terminal.columns)}\n`);
    const checks = [
      ...findings.kernelsOpen ? selfTest() : [],
      ...findings.gpu.cuda ? selfTest("cuda") : [],
    ];
    const wrong = checks.filter(({ passed }) => !passed);
    const passed = findings.kernelsOpen && wrong.length === 0;
    const count = `${checks.length - wrong.length} of ${checks.length} checks passed`;
    const verdict = !findings.kernelsOpen
      ? "not run, the kernels do not compile"
      : passed
      ? `${count} (results against the definitions of the ops)`
      : `${count}, so results cannot be trusted on this machine`;
    terminal.write(`${row("self-test", verdict, terminal.columns)}\n`);
    for (const { name, detail } of wrong) {
      terminal.write(`${row("", `${name}: ${detail}`, terminal.columns)}\n`);
    }
    if (wrong.length > 0 || (!findings.kernelsOpen && findings.compiler !== null)) {
      const fix =
        "Please report this with the lines above. DENOTRON_CC=none runs without compiled kernels.";
      terminal.write(`\n${wrap(fix, terminal.columns).join("\n")}\n`);
    }
    if (json) terminal.write(JSON.stringify({ passed, ...findings, checks }) + "\n");
    return passed ? succeeded : failed;
  });
}

function describe(findings: Findings, columns: number): string {
  const { system, compiler, kernels, memory, cache, gpu, advice } = findings;
  const rows: [string, string][] = [
    ["system", `${system.os} on ${system.arch}, Deno ${system.deno} (V8 ${system.v8})`],
    ["CPU", `${system.cpu}, ${system.threads} threads`],
    ["", `has ${system.features?.join(", ") ?? "instruction sets that cannot be read here"}`],
    ["compiler", compiler === null ? kernels.why : `${compiler.version} at ${compiler.path}`],
    ...compiler === null ? [] : [["", `flags ${compiler.flags.join(" ")}`] as [string, string]],
    ["kernels", kernels.description],
    [
      "memory",
      `${formatBytes(memory.total)}, ${formatBytes(memory.available)} free; ` +
      `tensors may take ${formatBytes(memory.limit)}`,
    ],
    [
      "cache",
      `${cache.directory}, ${formatBytes(cache.bytes)}${cache.writable ? "" : ", not writable"}`,
    ],
    ...describeGpu(gpu),
  ];
  const lines = rows.map(([name, value]) => row(name, value, columns));
  const fixes = advice.map((fix, i) => row(i === 0 ? "to do" : "", fix, columns));
  return [...lines, ...fixes].join("\n");
}

const nameWidth = 11;

function row(name: string, value: string, columns: number): string {
  const [first, ...rest] = wrap(value, Math.max(30, columns - nameWidth));
  return [name.padEnd(nameWidth) + first, ...rest.map((line) => " ".repeat(nameWidth) + line)]
    .join("\n");
}

if (import.meta.main) Deno.exit(await main(Deno.args, systemTerminal()));
