/**
 * Server-sent events to a client that may read slowly, or not at all, or leave.
 *
 * @module
 */

/** How a stream of events behaves. */
export interface EventStreamOptions {
  /** After so many ms without an event a comment is sent, so that nobody in between takes the connection for dead. */
  readonly heartbeatMs: number;
  /** A client that takes nothing for so many ms, while there is something to take, is given up. */
  readonly stallMs: number;
  /** The client has left, or was given up. */
  readonly onLost: () => void;
}

/** The client is not there any more. */
export class ClientLostError extends Error {
  /** The class name, for logs. */
  override readonly name = "ClientLostError";
}

/** Bytes that wait for the client before its turn is waited for. */
const roomBytes = 64 * 1024;
const encoder = new TextEncoder();

/** Events as the body of a response. */
export class EventStream {
  /** The body. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: EventStreamOptions;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  #controller!: ReadableStreamDefaultController<Uint8Array>;
  /** Resolves when the client has room again; null while it has. All who write wait for the same. */
  #room: PromiseWithResolvers<void> | null = null;
  #lastMs = performance.now();
  #open = true;

  /** Nothing sent yet. */
  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#controller = controller),
      pull: () => this.#makeRoom(),
      cancel: () => this.#lose(),
    }, new ByteLengthQueuingStrategy({ highWaterMark: roomBytes }));
    this.#heartbeat = setInterval(() => this.#beat(), options.heartbeatMs);
  }

  /** The whole response. */
  get response(): Response {
    return new Response(this.body, {
      headers: {
        "content-type": "text/event-stream; charset=utf-8",
        "cache-control": "no-cache",
        "x-accel-buffering": "no", // nginx would collect events
      },
    });
  }

  /** Sends a value as JSON, and returns when the client has room for more. Throws ClientLostError when it has gone. */
  send(value: unknown): Promise<void> {
    return this.#write(`data: ${JSON.stringify(value)}\n\n`);
  }

  /** Ends the stream as OpenAI does. */
  async end(): Promise<void> {
    if (!this.#open) return;
    await this.#write("data: [DONE]\n\n").catch(() => {});
    if (!this.#open) return;
    this.#close();
    this.#controller.close();
  }

  async #write(text: string): Promise<void> {
    this.#assertOpen();
    this.#controller.enqueue(encoder.encode(text));
    this.#lastMs = performance.now();
    // Handing it over may be what shows that the client has left.
    this.#assertOpen();
    if (this.#controller.desiredSize! > 0) return;
    this.#room ??= Promise.withResolvers<void>();
    const timer = setTimeout(() => this.#giveUp(), this.#options.stallMs);
    await this.#room.promise;
    clearTimeout(timer);
    this.#assertOpen();
  }

  #assertOpen(): void {
    if (!this.#open) throw new ClientLostError("The client has left.");
  }

  /** The client is known to have left, before the stream itself has noticed. */
  abandon(): void {
    if (!this.#open) return;
    this.#controller.close();
    this.#lose();
  }

  #makeRoom(): void {
    this.#room?.resolve();
    this.#room = null;
  }

  #beat(): void {
    const quietMs = performance.now() - this.#lastMs;
    if (quietMs < this.#options.heartbeatMs || this.#controller.desiredSize! <= 0) return;
    this.#controller.enqueue(encoder.encode(": still here\n\n"));
    this.#lastMs = performance.now();
  }

  #giveUp(): void {
    if (!this.#open) return;
    this.#controller.error(new ClientLostError("The client takes nothing."));
    this.#lose();
  }

  #lose(): void {
    if (!this.#open) return;
    this.#close();
    this.#makeRoom();
    this.#options.onLost();
  }

  #close(): void {
    this.#open = false;
    clearInterval(this.#heartbeat);
  }
}
