/**
 * What the tests of the server share: a model, a server on a socket, and its figures.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  defaultLimits,
  EngineHost,
  type EngineSource,
  listen,
  type ListeningServer,
  type LogFields,
  type ServerOptions,
} from "../../serve/mod.ts";
import { Tokenizer } from "../../text/mod.ts";
import { writeTinyModel } from "../cli/support.ts";
import { hasShared, SHARED, withFolder } from "../nn/specs.ts";

/** Where a model and its tokenizer lie. */
export interface ModelFiles {
  readonly model: string;
  readonly tokenizer: string;
}

/** The real stories260K. */
export const stories: ModelFiles = {
  model: fileURLToPath(new URL("models/stories260K/stories260K.bin", SHARED)),
  tokenizer: fileURLToPath(new URL("models/stories260K/tok512.bin", SHARED)),
};

/** Whether it is there. */
export const hasStories: boolean = hasShared("models/stories260K/stories260K.bin");

/** A server that runs. */
export interface RunningServer extends ListeningServer {
  readonly host: EngineHost;
  readonly log: { readonly event: string; readonly fields: LogFields }[];
  /** The response to a JSON body. */
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
  /** A figure of `/metrics`. */
  figure(name: string): Promise<number>;
}

/** What a test wants to be different. */
export interface RunOptions {
  readonly files?: ModelFiles;
  readonly server?: Partial<ServerOptions>;
  readonly engine?: Partial<EngineSource>;
}

/** Runs a test with a server, on stories260K where it is there, else on a random model. */
export async function withServer(
  test: (server: RunningServer) => Promise<void>,
  options: RunOptions = {},
): Promise<void> {
  if (options.files !== undefined) return await run(options.files, options, test);
  if (hasStories) return await run(stories, options, test);
  await withFolder(async (folder) => {
    const model = join(folder, "model");
    await writeTinyModel(model, { context: 512 });
    await run({ model, tokenizer: model }, options, test);
  });
}

async function run(
  files: ModelFiles,
  options: RunOptions,
  test: (server: RunningServer) => Promise<void>,
): Promise<void> {
  const tokenizer = await Tokenizer.load(files.tokenizer);
  await using host = new EngineHost({
    model: files.model,
    threads: 1,
    maxRunning: 64,
    maxRequests: 512,
    vocabularySize: tokenizer.vocabularySize,
    ...options.engine,
  });
  const log: { event: string; fields: LogFields }[] = [];
  const listening = await listen({
    model: "tiny",
    tokenizer,
    host,
    keys: [],
    origins: [],
    limits: defaultLimits,
    log: (_, event, fields = {}) => log.push({ event, fields }),
    ...options.server,
  });
  try {
    await host.ready;
    await test({ ...listening, host, log, ...requests(listening.url) });
  } finally {
    await listening.shutdown(0);
  }
}

function requests(url: string): Pick<RunningServer, "post" | "figure"> {
  return {
    post: (path, body, init = {}) =>
      fetch(url + path, {
        method: "POST",
        body: JSON.stringify(body),
        ...init,
        headers: { "content-type": "application/json", ...init.headers },
      }),
    async figure(name) {
      const text = await (await fetch(`${url}/metrics`)).text();
      const line = text.split("\n").find((line) => line.startsWith(`denotron:${name} `));
      return Number(line?.split(" ")[1]);
    },
  };
}

/** The JSON of a stream's events, and whether it ended as it should. */
export async function eventsOf(
  response: Response,
): Promise<{ events: Record<string, unknown>[]; done: boolean }> {
  const text = await response.text();
  const data = text.split("\n\n").filter((line) => line.startsWith("data: "))
    .map((line) => line.slice(6));
  const done = data.at(-1) === "[DONE]";
  return { events: data.filter((line) => line !== "[DONE]").map((line) => JSON.parse(line)), done };
}

/** Waits until something holds; fails when it does not in time. */
export async function eventually(
  holds: () => boolean | Promise<boolean>,
  what: string,
  withinMs = 10_000,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!await holds()) {
    if (performance.now() > end) throw new Error(`${what}: not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
