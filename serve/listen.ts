/**
 * From a server to a socket, and its orderly end.
 *
 * @module
 */
import { createApp } from "./app.ts";
import { ClientLostError } from "./event_stream.ts";
import type { Log } from "./log.ts";
import { loadPage } from "./page.ts";
import { Server, type ServerOptions } from "./server.ts";

/** How long connections without a request may stay when the server ends. */
const hangUpMs = 1000;

/** Where to listen. */
export interface ListenOptions {
  /** An address of this machine; 127.0.0.1 by default. */
  readonly hostname?: string;
  /** 0, the default, takes any free one. */
  readonly port?: number;
}

/** A server that listens. */
export interface ListeningServer {
  /** What it knows. */
  readonly server: Server;
  /** Such as `http://127.0.0.1:8000`. */
  readonly url: string;
  /**
   * Takes no more requests, waits up to `timeoutMs` for those that run, cuts the others off, and stops listening.
   * The engine stays the caller's. Returns whether all requests could finish.
   */
  shutdown(timeoutMs: number): Promise<boolean>;
}

/**
 * Listens at once: while the model is being loaded, `/health` answers, and requests are told to come back.
 * Throws Deno.errors.AddrInUse, and others of the kind.
 */
export async function listen(
  options: ServerOptions,
  { hostname = "127.0.0.1", port = 0 }: ListenOptions = {},
): Promise<ListeningServer> {
  const server = new Server(options);
  const app = createApp(server, await loadPage());
  const closing = new AbortController();
  const http = Deno.serve(
    {
      hostname,
      port,
      signal: closing.signal,
      onListen: () => {},
      onError: (error) => failure(error, options.log),
    },
    (request, { completed }) => app.fetch(request, { completed }),
  );
  const { addr } = http;
  const shown = addr.hostname.includes(":") ? `[${addr.hostname}]` : addr.hostname;
  return {
    server,
    url: `http://${shown}:${addr.port}`,
    async shutdown(timeoutMs) {
      const finished = await server.drain(timeoutMs);
      // Whoever still holds a connection, with half a request say, has had time enough.
      const timer = setTimeout(() => closing.abort(), hangUpMs);
      await http.shutdown();
      clearTimeout(timer);
      return finished;
    },
  };
}

/** The application answers for its own errors: what comes here is a stream that was cut on purpose, or a defect. */
function failure(error: unknown, log: Log): Response {
  if (!(error instanceof ClientLostError)) log("error", "defect", { message: String(error) });
  return new Response(null, { status: 500 });
}
