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
  /** The client has taken something and has room, perhaps after it had none. */
  readonly onRoom: () => void;
  /** The client has left, or was given up. */
  readonly onLost: () => void;
}

/** A client that took nothing was given up: its connection is cut. */
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
  /** What is sent at the next occasion: events of the same moment are one write. */
  #text = "";
  #soon = false;
  /** Runs while the client has no room. */
  #stall: ReturnType<typeof setTimeout> | undefined;
  #lastMs = performance.now();
  #ended = false;
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

  /** Whether the client takes more, or has gone. Who sends all the same fills memory. */
  get hasRoom(): boolean {
    return !this.#open || this.#controller.desiredSize! > this.#text.length;
  }

  /** Sends an event: a line of JSON. Nothing happens when the client has gone. */
  send(json: string): void {
    if (!this.#open) return;
    this.#text += `data: ${json}\n\n`;
    if (this.#soon) return;
    this.#soon = true;
    queueMicrotask(() => this.#flush());
  }

  /** Ends the stream as OpenAI does. It closes when the client has taken everything; one that does not is given up. */
  end(): void {
    this.send("[DONE]");
    this.#flush();
    if (!this.#open) return;
    this.#ended = true;
    clearInterval(this.#heartbeat);
    this.#closeWhenTaken();
  }

  #closeWhenTaken(): void {
    clearTimeout(this.#stall);
    if (this.#controller.desiredSize! < roomBytes) {
      this.#stall = setTimeout(() => this.#giveUp(), this.#options.stallMs);
    } else {
      this.#close();
      this.#controller.close();
    }
  }

  #flush(): void {
    this.#soon = false;
    if (!this.#open || this.#text === "") return;
    const bytes = encoder.encode(this.#text);
    this.#text = "";
    this.#lastMs = performance.now();
    this.#controller.enqueue(bytes);
    // Handing it over may be what shows that the client has left.
    if (!this.#open) return;
    if (this.#controller.desiredSize! > 0) this.#options.onRoom();
    else this.#stall ??= setTimeout(() => this.#giveUp(), this.#options.stallMs);
  }

  /** The client is known to have left, before the stream itself has noticed. */
  abandon(): void {
    if (!this.#open) return;
    this.#controller.close();
    this.#lose();
  }

  #makeRoom(): void {
    if (!this.#open) return;
    if (this.#ended) return this.#closeWhenTaken();
    if (this.#stall === undefined) return;
    clearTimeout(this.#stall);
    this.#stall = undefined;
    this.#options.onRoom();
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
    this.#options.onLost();
  }

  #close(): void {
    this.#open = false;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#stall);
  }
}
