/**
 * The engine of the bare server: a thread that computes nothing, for as long as a step of a real one takes.
 *
 * @module
 */
import { receiveMessageOnPort } from "node:worker_threads";
import { sharedNow } from "../../serve/protocol.ts";

/** The first message; later ones only wake the thread. */
export interface BareEngineStart {
  /** How long a step takes. */
  readonly stepMs: number;
  /** One i32: 1 while there is an answer to make. */
  readonly busy: Int32Array;
  /** Where the thread that leads takes orders; the others only take their share of the processor. */
  readonly orders: MessagePort | null;
}

/** An answer begins, or is complete. */
export type BareOrder = { readonly begin: number } | { readonly end: number };

/** What the leading thread tells after each step: the answers that have one more token. */
export interface BareStep {
  readonly ids: Float64Array;
  /** When the step was over, by the clock that all threads share. */
  readonly atMs: number;
}

/** What is used of a thread's global scope. */
interface ThreadScope {
  onmessage: (event: MessageEvent<BareEngineStart | object>) => void;
  postMessage(step: BareStep): void;
}
const threadScope = globalThis as unknown as ThreadScope;
const answers = new Set<number>();
let start: BareEngineStart | null = null;

threadScope.onmessage = ({ data }) => {
  start ??= data as BareEngineStart;
  if (start.orders === null) follow(start);
  else lead(start, start.orders);
};

/** Steps until there is no answer left to make. */
function lead({ stepMs, busy }: BareEngineStart, orders: MessagePort): void {
  while (true) {
    takeOrders(orders);
    if (answers.size === 0) {
      // Whoever orders after this look wakes the thread.
      Atomics.store(busy, 0, 0);
      takeOrders(orders);
      if (answers.size === 0) return;
    }
    if (Atomics.exchange(busy, 0, 1) === 0) Atomics.notify(busy, 0);
    burn(stepMs);
    threadScope.postMessage({ ids: Float64Array.from(answers), atMs: sharedNow() });
  }
}

function takeOrders(orders: MessagePort): void {
  while (true) {
    // The types of node:worker_threads do not know that its ports are those of the web.
    const received = receiveMessageOnPort(orders as never);
    if (received === undefined) return;
    const order = received.message as BareOrder;
    if ("begin" in order) answers.add(order.begin);
    else answers.delete(order.end);
  }
}

/** Keeps a core busy while there is an answer to make. Does not return. */
function follow({ stepMs, busy }: BareEngineStart): never {
  while (true) {
    Atomics.wait(busy, 0, 0);
    burn(stepMs);
  }
}

/** Keeps a core busy. */
function burn(ms: number): void {
  const end = performance.now() + ms;
  for (let x = 1; performance.now() < end;) {
    for (let i = 0; i < 1000; i++) x = x * 1.0000001 + 1e-9;
  }
}
