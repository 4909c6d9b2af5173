/** A native function returned a status that is not success. */
export class NativeError extends Error {
  /** The class's name, which messages begin with. */
  override readonly name = "NativeError";

  /**
   * Describes the failure.
   *
   * @param call The function and what it was called for: `matmul_f32`.
   * @param code The status it returned.
   * @param status Name of the status, or `unknown status`.
   * @param hint What to do about it: a sentence, or nothing.
   */
  constructor(
    readonly call: string,
    readonly code: number,
    readonly status: string,
    readonly hint: string,
  ) {
    super(`${call}: native call failed, ${status} (${code}).${hint && ` ${hint}`}`);
  }
}

/** What a status code means. */
export interface StatusName {
  /** The name in the library's own header: `OUT_OF_MEMORY`. */
  readonly name: string;
  /** What to do about it: a sentence. */
  readonly hint?: string;
}

/**
 * Throws unless a native call succeeded.
 *
 * @param status What the function returned; 0 is success.
 * @param call The function, for the message.
 * @param names What its status codes mean.
 * @throws {NativeError} When `status` is not 0.
 *
 * @example
 * ```ts
 * import { check, NativeError } from "@denotron/denotron/ffi";
 * import assert from "node:assert/strict";
 *
 * const names = { 1: { name: "OUT_OF_MEMORY", hint: "Use a smaller batch." } };
 * check(0, "matmul_f32", names);
 * assert.throws(() => check(1, "matmul_f32", names), NativeError);
 * ```
 */
export function check(
  status: number,
  call: string,
  names: Readonly<Record<number, StatusName>> = {},
): void {
  if (status === 0) return;
  const known = names[status];
  throw new NativeError(call, status, known?.name ?? "unknown status", known?.hint ?? "");
}
