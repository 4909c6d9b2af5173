/**
 * Programs in a Deno of their own that may do nothing: no files, no network, no environment, no other programs.
 *
 * Deno's permissions keep a program away from everything, V8 limits its heap, and its memory is watched from outside.
 * That is a sandbox of permissions, no boundary against errors in V8 itself.
 *
 * @module
 */

/** What a program may use. */
export interface SandboxLimits {
  /** Of the heap, and of everything else together, in MiB; 128 by default. */
  readonly memoryMb?: number;
}

/** Where a program comes from. */
export interface SandboxSource {
  /** TypeScript. What it imports statically from files is read before it is shut in. */
  readonly source: string;
  /** Whether it may import what Deno has in its cache, by the names of the project's configuration; false by default. */
  readonly imports?: boolean;
}

/** What an idle Deno takes, in MiB: not the program's doing. */
const baseMemoryMb = 128;

/** How often memory is looked at: what a program can allocate in between, memory bandwidth limits. */
const watchMs = 20;

/** A running program. */
export class Sandbox implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #watch: ReturnType<typeof setInterval>;
  #reason: string | null = null;

  /** Starts a program. */
  constructor({ source, imports = false }: SandboxSource, { memoryMb = 128 }: SandboxLimits = {}) {
    const program = `data:application/typescript;base64,${encode(source)}`;
    const known = imports ? ["--cached-only"] : ["--no-remote", "--no-npm", "--no-config"];
    const flags = ["--no-prompt", "--no-check", "--no-lock", "--quiet", ...known];
    const heap = `--v8-flags=--max-old-space-size=${memoryMb}`;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", ...flags, heap, program],
      clearEnv: true,
      env: { ...cacheVariables(), NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#watch = setInterval(() => this.#checkMemory(memoryMb + baseMemoryMb), watchMs);
    this.#process.status.then(() => clearInterval(this.#watch));
  }

  /** What it reads. */
  get stdin(): WritableStream<Uint8Array<ArrayBuffer>> {
    return this.#process.stdin;
  }

  /** What it writes. */
  get stdout(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#process.stdout;
  }

  /** What it writes about errors. */
  get stderr(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#process.stderr;
  }

  /** Its end. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#process.status;
  }

  /** Why it was ended; null while it runs, or when it ended itself. */
  get reason(): string | null {
    return this.#reason;
  }

  /** Ends it at once. The first reason given is kept. */
  kill(reason: string): void {
    this.#reason ??= reason;
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      // It has ended in the meantime.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Ends it and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("disposed");
    await this.status;
    await Promise.all(
      [this.stdin.locked ? null : this.stdin.abort(), cancel(this.stdout), cancel(this.stderr)]
        .map((closing) => closing?.catch(() => {})),
    );
  }

  #checkMemory(limitMb: number): void {
    const used = residentMb(this.#process.pid);
    if (used > limitMb) this.kill(`more memory than allowed (${limitMb} MiB)`);
  }
}

function cancel(stream: ReadableStream): Promise<void> | null {
  return stream.locked ? null : stream.cancel();
}

/** MiB of memory that a process holds; 0 where the system does not tell, as only Linux does. */
function residentMb(pid: number): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

/** Where Deno keeps modules: the program itself cannot read its environment. */
function cacheVariables(): Record<string, string> {
  const names = ["DENO_DIR", "HOME", "XDG_CACHE_HOME", "LOCALAPPDATA"];
  const entries = names.map((name) => [name, Deno.env.get(name)] as const);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => !!entry[1]));
}

function encode(source: string): string {
  return new TextEncoder().encode(source).toBase64();
}

/** Reads a stream as text, but no more than so many bytes: null when there was more. */
export async function readAtMost(
  stream: ReadableStream<Uint8Array>,
  bytes: number,
): Promise<string | null> {
  const decoder = new TextDecoder();
  let text = "", read = 0;
  for await (const chunk of stream) {
    read += chunk.length;
    if (read > bytes) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
