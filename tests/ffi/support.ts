import {
  compileLibrary,
  type Compiler,
  findCompiler,
  type KernelSymbol,
  type Library,
  openLibrary,
  symbolTable,
} from "@denotron/denotron/ffi";
import { join } from "node:path";

/** The machine's compiler; without one the tests that need it are ignored. */
export const compiler: Compiler | null = findCompiler();

/**
 * Registers a test that needs a C compiler.
 *
 * @param missing What else the test needs and this machine lacks, or null.
 */
export function compilerTest(
  name: string,
  test: (compiler: Compiler) => void | Promise<void>,
  missing: string | null = null,
): void {
  const reason = compiler === null ? "no C compiler" : missing;
  Deno.test({
    name: reason === null ? name : `${name} (skipped: ${reason})`,
    ignore: reason !== null,
    fn: () => test(compiler!),
  });
}

/** A directory that is removed at the end of its block. */
export class TemporaryDirectory implements Disposable {
  readonly path: string = Deno.makeTempDirSync({ prefix: "denotron-test-" });

  [Symbol.dispose](): void {
    Deno.removeSync(this.path, { recursive: true });
  }
}

/** Compiles one C file and opens it; its functions are kernels. */
export function openKernels<Name extends string>(
  compiler: Compiler,
  cacheDirectory: string,
  source: string,
  names: readonly Name[],
): Library<Record<Name, KernelSymbol>> {
  const units = [{ name: "test.c", source }];
  const path = compileLibrary({ name: "test", units, headers: [], compiler, cacheDirectory });
  return openLibrary(path, symbolTable(names));
}

/** Address of a typed array. The caller keeps the array alive. */
export function addressOf(array: BufferSource): number {
  return Number(Deno.UnsafePointer.value(Deno.UnsafePointer.of(array)));
}

/** What a program left behind. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs TypeScript in a process of its own, because the environment belongs to the process and tests share theirs.
 * Everything of `ffi` is in scope; what it prints with `console.log` comes back.
 */
export async function runScript(script: string, env: Record<string, string>): Promise<Outcome> {
  const module = new URL("../../ffi/mod.ts", import.meta.url);
  const code = `import * as ffi from ${JSON.stringify(module.href)};\n${script}`;
  const command = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--quiet", "--ext=ts", code],
    env,
  });
  const { code: status, stdout, stderr } = await command.output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code: status, stdout: text(stdout), stderr: text(stderr) };
}

/** A stand-in compiler: a shell script that notes its arguments and then does what `body` says. */
export class FakeCompiler {
  readonly path: string;
  readonly #log: string;

  constructor(directory: string, body: string, name = "fake-cc") {
    this.path = join(directory, name);
    this.#log = join(directory, `${name}.log`);
    Deno.writeTextFileSync(this.path, `#!/bin/sh\necho "$@" >> '${this.#log}'\n${body}\n`, {
      mode: 0o755,
    });
  }

  /** The command lines so far. */
  get calls(): string[] {
    try {
      return Deno.readTextFileSync(this.#log).trimEnd().split("\n");
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** The files compiled so far, sorted. */
  get compiled(): string[] {
    return this.calls.flatMap((call) => call.match(/-c (\S+)/)?.[1] ?? []).sort();
  }
}
