/**
 * The first of two lifetimes: what a scope made dies with it.
 *
 * @module
 */

/** Something that holds native memory, and that scopes free. */
export abstract class Tracked {
  /** Held by an owner; scopes leave it alone. */
  abstract readonly owned: boolean;
  /** Give the memory back. Safe to call twice. */
  abstract [Symbol.dispose](): void;
}

let open: Tracked[] | null = null;

/** Note a new tensor in the innermost open scope. */
export function track(tensor: Tracked): void {
  open?.push(tensor);
}

/**
 * Run `body` and free every tensor made in it, except what is reachable from its result (which then belongs to the
 * enclosing scope) and what was kept with `tensor.keep()`. Reachable is what lies in lists, maps, sets and fields of
 * objects, at any depth; not what objects hold in `#private` fields.
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
  let result: T | undefined;
  let kept: ReadonlySet<unknown> | null = null;
  try {
    result = body();
    if (typeof result === "object" && result !== null && !(result instanceof Tracked)) {
      refuseAsync(result);
      kept = reachable(result);
    }
    return result;
  } finally {
    open = outer;
    for (let i = 0; i < made.length; i++) {
      const tensor = made[i];
      if (tensor.owned) continue;
      if (tensor === result || kept?.has(tensor)) outer?.push(tensor);
      else tensor[Symbol.dispose]();
    }
  }
}

function refuseAsync(result: object): void {
  if (!("then" in result) || typeof result.then !== "function") return;
  // The rest of the body fails on what is freed here; that failure is told by the error below.
  result.then(undefined, () => {});
  throw new TypeError(
    "scope: body is async; tensors made after its first await would escape. Await outside, or use `using`.",
  );
}

/** Every object that is reachable from `root`. */
function reachable(root: object): ReadonlySet<unknown> {
  const seen = new Set<unknown>([root]);
  for (const value of seen) { // visits what is added on the way, too
    if (typeof value !== "object" || value === null) continue;
    if (value instanceof Tracked || ArrayBuffer.isView(value)) continue; // plain numbers
    if (value instanceof Map) { for (const key of value.keys()) seen.add(key); }
    const parts = value instanceof Map || value instanceof Set
      ? value.values()
      : Object.values(value);
    for (const part of parts) seen.add(part);
  }
  return seen;
}
