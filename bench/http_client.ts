/**
 * As little of an HTTP client as a load needs: it writes, notes when which bytes came, and leaves reading them for later, so
 * that it does not take the time of the server that it measures.
 *
 * @module
 */

/** A response as its bytes came. */
export interface Exchange {
  /** When the request was written. */
  readonly sentMs: number;
  /** All of them. */
  readonly bytes: Uint8Array;
  /** After each read: how many bytes were there, and when. */
  readonly reads: readonly { readonly end: number; readonly atMs: number }[];
}

/** A piece of a body. */
export interface BodyPart {
  readonly text: string;
  /** When the last of it came. */
  readonly atMs: number;
}

/** A response that was read. */
export interface ReadResponse {
  readonly status: number;
  readonly parts: readonly BodyPart[];
}

const roomBytes = 64 * 1024;
const encoder = new TextEncoder();
const lineEnd = "\r\n";
const headEnd = lineEnd + lineEnd;
const lastChunk = encoder.encode(`${lineEnd}0${headEnd}`);

/** The bytes of a request that posts JSON. */
export function postBytes({ host, pathname }: URL, body: unknown): Uint8Array {
  const json = encoder.encode(JSON.stringify(body));
  const head = [
    `POST ${pathname} HTTP/1.1`,
    `host: ${host}`,
    "content-type: application/json",
    `content-length: ${json.length}`,
  ].join(lineEnd) + headEnd;
  return new Uint8Array([...encoder.encode(head), ...json]);
}

/** A connection that is kept for one request after another. */
export class HttpConnection implements Disposable {
  readonly #socket: Deno.TcpConn;
  #bytes = new Uint8Array(roomBytes);

  private constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  /** Connects. */
  static async open({ hostname, port }: URL): Promise<HttpConnection> {
    const socket = await Deno.connect({ hostname, port: Number(port) });
    socket.setNoDelay(true);
    return new HttpConnection(socket);
  }

  /** Sends a request and takes the whole response. Throws Error when the server hangs up before its end. */
  async exchange(request: Uint8Array): Promise<Exchange> {
    const reads: { end: number; atMs: number }[] = [], sentMs = performance.now();
    let size = 0;
    for (let at = 0; at < request.length;) at += await this.#socket.write(request.subarray(at));
    do {
      if (size === this.#bytes.length) {
        const wider = new Uint8Array(2 * size);
        wider.set(this.#bytes);
        this.#bytes = wider;
      }
      const count = await this.#socket.read(this.#bytes.subarray(size));
      if (count === null) throw new Error(`load: the server hung up after ${size} bytes.`);
      reads.push({ end: size += count, atMs: performance.now() });
    } while (!isComplete(this.#bytes.subarray(0, size)));
    return { sentMs, bytes: this.#bytes.slice(0, size), reads };
  }

  /** Hangs up. */
  [Symbol.dispose](): void {
    this.#socket.close();
  }
}

/** Whether a response has come to its end: the last chunk, or as many bytes as its head says. */
function isComplete(bytes: Uint8Array): boolean {
  const from = bytes.length - lastChunk.length;
  if (from >= 0 && lastChunk.every((byte, i) => bytes[from + i] === byte)) return true;
  // Long responses come in chunks: only a short one is worth looking at whole.
  if (bytes.length > 4096) return false;
  const text = new TextDecoder("latin1").decode(bytes), head = text.indexOf(headEnd);
  const [, length] = /^content-length: (\d+)/im.exec(text.slice(0, Math.max(0, head))) ?? [];
  return length !== undefined && text.length >= head + headEnd.length + Number(length);
}

/** Status and body of a response, each chunk with its time. */
export function readResponse({ bytes, reads }: Exchange): ReadResponse {
  const text = new TextDecoder("latin1").decode(bytes), head = text.indexOf(headEnd);
  const status = Number(text.slice(0, head).split(" ")[1]);
  const decoder = new TextDecoder();
  if (!/^transfer-encoding: chunked/im.test(text.slice(0, head))) {
    const body = decoder.decode(bytes.subarray(head + headEnd.length));
    return { status, parts: [{ text: body, atMs: reads.at(-1)!.atMs }] };
  }
  const parts: BodyPart[] = [];
  let at = head + headEnd.length, read = 0;
  while (true) {
    const line = text.indexOf(lineEnd, at), size = parseInt(text.slice(at, line), 16);
    if (size === 0) return { status, parts };
    const begin = line + lineEnd.length, end = begin + size;
    while (reads[read].end < end) read++;
    const piece = decoder.decode(bytes.subarray(begin, end), { stream: true });
    parts.push({ text: piece, atMs: reads[read].atMs });
    at = end + lineEnd.length;
  }
}
