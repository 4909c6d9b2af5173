/**
 * Rewards in a process of their own.
 *
 * @module
 */
import type { Reward, RewardCompletion, RewardRow } from "./reward.ts";
import { Sandbox, type SandboxLimits } from "./sandbox.ts";

/** What an isolated reward may use. */
export interface IsolatedRewardOptions extends SandboxLimits {
  /** The name that the module exports the reward by; "default" by default. */
  readonly exportName?: string;
  /** How long one score may take, in milliseconds, the start of a process included; 5,000 by default. */
  readonly timeoutMs?: number;
}

/** A reward whose process can be ended. */
export interface IsolatedReward extends AsyncDisposable {
  /** The reward; rejects with what went wrong. */
  readonly score: Reward;
}

/** Answers each line, [completion, row] as JSON, with a line: a score, or null and the error. */
function hostSource(module: URL, exportName: string): string {
  return `
import * as module from ${JSON.stringify(module.href)};
const answer = console.log;
console.log = console.info = console.debug = console.error;
const reward = module[${JSON.stringify(exportName)}];
let rest = "";
for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
  const lines = (rest + text).split("\\n");
  rest = lines.pop()!;
  for (const line of lines) {
    try {
      const [completion, row] = JSON.parse(line);
      answer(JSON.stringify({ score: await reward(completion, row) }));
    } catch (error) {
      answer(JSON.stringify({ error: String(error) }));
    }
  }
}
`;
}

/**
 * A reward function of a module, in a process without permissions. Whatever it does, to read a file, open a socket, never
 * return, allocate without end, or exit, is its failure alone: the process is ended, and another one started when it is
 * needed. There are as many processes as completions are scored at once.
 *
 * The module may import others. What it logs is not shown.
 */
export function isolatedReward(
  module: URL,
  { exportName = "default", timeoutMs = 5000, ...limits }: IsolatedRewardOptions = {},
): IsolatedReward {
  const hosts = new Set<RewardHost>(), idle: RewardHost[] = [];
  const source = hostSource(module, exportName);
  const start = (): RewardHost => {
    const host = new RewardHost(new Sandbox({ source, imports: true }, limits));
    hosts.add(host);
    return host;
  };
  return {
    score: async (completion, row) => {
      const host = idle.pop() ?? start();
      try {
        const score = await host.score(completion, row, timeoutMs);
        idle.push(host);
        return score;
      } catch (error) {
        if (error instanceof RewardError) idle.push(host);
        else {
          hosts.delete(host);
          await host[Symbol.asyncDispose]();
        }
        throw error;
      }
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...hosts].map((host) => host[Symbol.asyncDispose]()));
      hosts.clear();
      idle.length = 0;
    },
  };
}

/** What the reward function itself threw: its process can go on. */
class RewardError extends Error {
  override readonly name = "RewardError";
}

/** A process that answers. */
class RewardHost implements AsyncDisposable {
  readonly #sandbox: Sandbox;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>>;
  readonly #lines: AsyncIterator<string>;
  readonly #draining: Promise<void>;

  constructor(sandbox: Sandbox) {
    this.#sandbox = sandbox;
    this.#writer = sandbox.stdin.getWriter();
    this.#lines = linesOf(sandbox.stdout);
    // Unread output would stop the process once its pipe is full.
    this.#draining = sandbox.stderr.pipeTo(new WritableStream()).catch(() => {});
  }

  async score(completion: RewardCompletion, row: RewardRow, timeoutMs: number): Promise<number> {
    const timer = setTimeout(
      () => this.#sandbox.kill(`no score in time (${timeoutMs} ms)`),
      timeoutMs,
    );
    try {
      const line = new TextEncoder().encode(`${JSON.stringify([completion, row])}\n`);
      // A process that has ended is found out about by reading.
      this.#writer.write(line).catch(() => {});
      const answer = await this.#lines.next();
      if (answer.done) throw new Error(this.#sandbox.reason ?? "the reward's process ended");
      return parseAnswer(answer.value);
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#sandbox.kill("disposed");
    await this.#writer.abort().catch(() => {});
    await this.#lines.return?.();
    await this.#sandbox[Symbol.asyncDispose]();
    await this.#draining;
  }
}

function parseAnswer(line: string): number {
  const { score, error } = JSON.parse(line) as { score?: unknown; error?: unknown };
  if (typeof score === "number") return score;
  throw new RewardError(error === undefined ? "the score is no number" : String(error));
}

/** A line longer than this is no score. */
const longestLine = 65_536;

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop()!;
    yield* lines;
    if (rest.length > longestLine) {
      throw new Error(`the reward wrote no score (${rest.length} letters)`);
    }
  }
}
