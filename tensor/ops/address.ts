/**
 * What ops share when they fill argument blocks.
 *
 * @module
 */
import { bytesOf } from "../dtype.ts";
import type { View } from "../op.ts";

/** Native address of the first element of a view. */
export function addressOf({ storage, offset, dtype }: View): number {
  return storage.address + offset * bytesOf(dtype);
}
