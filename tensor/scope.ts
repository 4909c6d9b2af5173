/**
 * The first of two lifetimes: what a scope made dies with it.
 *
 * @module
 */

/** Something that holds native memory. */
export interface Tracked {
  /** Held by an owner; scopes leave it alone. */
  readonly owned: boolean;
  [Symbol.dispose](): void;
}

let open: Tracked[] | null = null;

/** Note a new tensor in the innermost open scope. */
export function track(tensor: Tracked): void {
  open?.push(tensor);
}

/**
 * Run `body` and free every tensor made in it, except what is reachable from its result (which then belongs to the
 * enclosing scope) and what was kept with `tensor.keep()`.
 *
 * Throws TypeError when `body` is async: what it made after its first await would escape.
 *
 * @example
 * ```ts
 * import { scope, Tensor } from "@denotron/denotron/tensor";
 * const total = scope(() => Tensor.from([1, 2, 3]).mul(2).sum().item());
 * console.assert(total === 12);
 * ```
 */
export function scope<T>(body: () => T): T {
  const outer = open, made: Tracked[] = [];
  open = made;
  const kept = new Set<unknown>();
  try {
    const result = body();
    if (result instanceof Promise) {
      throw new TypeError(
        "scope: body is async; tensors made after its first await would escape. Await outside, or use `using`.",
      );
    }
    if (typeof result === "object" && result !== null) collect(result, kept);
    return result;
  } finally {
    open = outer;
    for (const tensor of made) {
      if (tensor.owned) continue;
      if (kept.has(tensor)) outer?.push(tensor);
      else tensor[Symbol.dispose]();
    }
  }
}

/** Add to `kept` every tensor that is reachable from `value`. */
function collect(value: unknown, kept: Set<unknown>): void {
  if (typeof value !== "object" || value === null || kept.has(value)) return;
  kept.add(value);
  if ("owned" in value || ArrayBuffer.isView(value)) return; // a tensor, or plain numbers
  const parts = value instanceof Map || value instanceof Set
    ? value.values()
    : Object.values(value);
  for (const part of parts) collect(part, kept);
}
