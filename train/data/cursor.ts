/**
 * Things in an order, and one's place among them.
 *
 * @module
 */
import type { Json } from "../stage.ts";
import { DataError } from "./errors.ts";

/** Things in an order that seeds decide. An equal cursor that is given the `state()` of another goes on as that one does. */
export interface Cursor<T> {
  /** The next thing; null when there are no more. */
  next(): Promise<T | null>;
  /** The place, as JSON. */
  state(): Json;
  /** Goes to a place. Throws DataError for the state of another kind of cursor, or of other data. */
  restore(state: Json): void;
}

/** The members of a cursor's state. Throws DataError where one of them is missing. */
export function stateMembers<K extends string>(
  who: string,
  state: Json,
  names: readonly K[],
): Record<K, Json> {
  const members = state as Record<string, Json> | null;
  const missing = names.find((name) =>
    typeof members !== "object" || members?.[name] === undefined
  );
  if (missing !== undefined) {
    throw new DataError(
      `${who}: the state has no "${missing}" (${JSON.stringify(state).slice(0, 60)}). ` +
        "Resume with the sources and options that the checkpoint was made with.",
    );
  }
  return members as Record<K, Json>;
}
