/**
 * The typed errors of `train/data/`.
 *
 * @module
 */

/** Data cannot be used: a missing or empty file, an unknown format, ids that the model does not have. */
export class DataError extends Error {
  /** The class name, for logs. */
  override readonly name: string = "DataError";
}

/** One row cannot be used. A stream may skip it and go on. */
export class RowError extends DataError {
  /** The class name, for logs. */
  override readonly name: string = "RowError";
}

/** Runs something that looks at a row; a RowError that it throws says where the row is. */
export function withPlace<T>(where: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    throw error instanceof RowError ? new RowError(`${where}: ${error.message}`) : error;
  }
}
