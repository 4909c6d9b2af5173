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
