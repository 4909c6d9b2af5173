/**
 * Long work that can be stopped.
 *
 * @module
 */
import { Turns } from "../engine/mod.ts";

/** What long work calls between its parts: signals and timers get through, and it throws where someone asked to stop. */
export type Pause = () => Promise<void>;

/** A pause that throws the signal's reason. */
export function pauseFor(signal: AbortSignal): Pause {
  const turns = new Turns(0);
  return async () => {
    await turns.give();
    signal.throwIfAborted();
  };
}

/** What `work` gives; null when someone asked to stop before that. */
export async function unlessStopped<T>(
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted && error === signal.reason) return null;
    throw error;
  }
}
