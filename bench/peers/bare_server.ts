/**
 * A server that does next to nothing, to see how much of what clients wait for is the machine's: it takes requests from sockets
 * and writes a token of each answer after each step of an engine that computes nothing. It has no HTTP library, checks
 * nothing, knows no tokenizer and keeps no log; its threads are as busy as those of a real engine, and it asks for the same
 * priority.
 *
 * `deno run -A bench/peers/bare_server.ts STEP_MS THREADS` prints its address.
 *
 * @module
 */
import { sharedNow } from "../../serve/protocol.ts";
import { device } from "../../tensor/mod.ts";
import type { BareEngineStart, BareOrder, BareStep } from "./bare_engine.ts";

/** One answer. */
interface Answer {
  readonly socket: Deno.Conn;
  readonly tokens: number;
  readonly sentMs: number;
  made: number;
  /** From the request to the first token. */
  firstMs: number;
}

const headEnd = "\r\n\r\n";
const responseHead = [
  "HTTP/1.1 200 OK",
  "content-type: text/event-stream; charset=utf-8",
  "transfer-encoding: chunked",
].join("\r\n") + headEnd;
const encoder = new TextEncoder(), decoder = new TextDecoder();
const answers = new Map<number, Answer>();
let requests = 0;

/** Threads that burn what those of an engine would; the first of them makes the answers. */
class BareEngine {
  readonly #busy = new Int32Array(new SharedArrayBuffer(4));
  readonly #orders = new MessageChannel();
  readonly #leader: Worker;

  constructor(stepMs: number, threads: number, take: (step: BareStep) => void) {
    const [leader] = Array.from({ length: threads }, (_, i) => {
      const worker = new Worker(import.meta.resolve("./bare_engine.ts"), { type: "module" });
      const orders = i === 0 ? this.#orders.port2 : null;
      const start: BareEngineStart = { stepMs, busy: this.#busy, orders };
      worker.postMessage(start, orders === null ? [] : [orders]);
      return worker;
    });
    leader.onmessage = ({ data }: MessageEvent<BareStep>) => take(data);
    this.#leader = leader;
  }

  order(order: BareOrder): void {
    this.#orders.port1.postMessage(order);
    if (Atomics.load(this.#busy, 0) === 0) this.#leader.postMessage({});
  }
}

/** A token of each answer, as a chunk of its response; those that begin come first. */
function write(engine: BareEngine, { ids, atMs }: BareStep): void {
  const told = Array.from(ids, (id) => [id, answers.get(id)] as const);
  told.sort(([, a], [, b]) => Number(a?.made !== 0) - Number(b?.made !== 0));
  for (const [id, answer] of told) {
    if (answer === undefined) continue;
    if (answer.made++ === 0) answer.firstMs = atMs - answer.sentMs;
    const isLast = answer.made === answer.tokens;
    const text = eventOf(answer, isLast) + (isLast ? "data: [DONE]\n\n" : "");
    const chunk = `${text.length.toString(16)}\r\n${text}\r\n${isLast ? `0${headEnd}` : ""}`;
    answer.socket.write(encoder.encode(chunk)).catch(() => {});
    if (!isLast) continue;
    answers.delete(id);
    engine.order({ end: id });
  }
}

/** As long as those of the real server. */
function eventOf({ tokens, firstMs }: Answer, isLast: boolean): string {
  const timings = { queue_ms: 0, prompt_ms: firstMs, predicted_n: tokens };
  return `data: ${
    JSON.stringify({
      id: "cmpl-0123456789abcdef0123456789abcdef",
      object: "text_completion",
      created: 1_800_000_000,
      model: "bare",
      choices: [{ index: 0, text: "ab", logprobs: null, finish_reason: isLast ? "length" : null }],
      ...isLast ? { timings } : {},
    })
  }\n\n`;
}

/** Answers the requests of a connection, one after the other. */
async function converse(engine: BareEngine, socket: Deno.TcpConn): Promise<void> {
  using _closed = { [Symbol.dispose]: () => socket.close() };
  socket.setNoDelay(true);
  const room = new Uint8Array(64 * 1024);
  for (let text = "";;) {
    const count = await socket.read(room);
    if (count === null) return;
    text += decoder.decode(room.subarray(0, count));
    const head = text.indexOf(headEnd), length = /content-length: (\d+)/i.exec(text)?.[1];
    if (head < 0 || text.length < head + headEnd.length + Number(length)) continue;
    const tokens: number = JSON.parse(text.slice(head)).max_tokens, id = requests++;
    answers.set(id, { socket, tokens, sentMs: sharedNow(), made: 0, firstMs: 0 });
    engine.order({ begin: id });
    await socket.write(encoder.encode(responseHead));
    text = "";
  }
}

const [stepMs, threads] = Deno.args.map(Number);
const engine: BareEngine = new BareEngine(stepMs, threads, (step) => write(engine, step));
device().favour(Deno.pid);
const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
console.log(`http://127.0.0.1:${listener.addr.port}`);
Deno.addSignalListener("SIGTERM", () => Deno.exit(0));
for await (const socket of listener) converse(engine, socket).catch(() => {});
