/**
 * Everything that must hold before a change is done, in order, one line each; stops at the first that does not hold.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const { exports } = JSON.parse(Deno.readTextFileSync(join(root, "deno.json"))) as {
  exports: Record<string, string>;
};

/** A check: its name and the arguments of `deno`. */
type Step = readonly [name: string, ...args: string[]];

// Where an export is a folder's mod.ts, its documentation is in the whole folder.
const documented = Object.values(exports)
  .map((path) => path === "./mod.ts" ? path : dirname(path));

const steps: readonly Step[] = [
  ["fmt", "fmt", "--check"],
  ["lint", "lint"],
  ["check", "check", "."],
  ["doc lint", "doc", "--lint", ...Object.values(exports)],
  ["doc tests", "test", "-A", "--doc", "--parallel", ...documented, "README.md"],
  ["tests", "task", "test"],
  ["publish", "publish", "--dry-run", "--allow-dirty"],
];

/** Runs one step; returns whether it holds and what it printed. */
async function run(args: readonly string[]): Promise<{ success: boolean; output: string }> {
  const command = new Deno.Command(Deno.execPath(), { args: [...args], cwd: root });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { success, output: decoder.decode(stderr) + decoder.decode(stdout) };
}

for (const [name, ...args] of steps) {
  const start = performance.now();
  const { success, output } = await run(args);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const counts = output.match(/^\d+ passed, \d+ failed, \d+ skipped$/m)?.[0] ?? "";
  const line = [success ? "ok    " : "FAILED", name.padEnd(10), `${seconds} s`.padStart(8), counts];
  console.log(line.join("  ").trimEnd());
  if (!success) {
    console.error(output);
    Deno.exit(1);
  }
}
