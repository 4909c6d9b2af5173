/**
 * What can go wrong, as types. A message reads `<op>: <what is wrong>, <as given> (<the numbers that disagree>). <the fix>`.
 *
 * @module
 */

/** The base of every error this library throws about tensors. */
export class TensorError extends Error {
  /** Name of the class. */
  override name = "TensorError";
}

/** Shapes that do not fit the op. */
export class ShapeError extends TensorError {
  /** Name of the class. */
  override name = "ShapeError";
}

/** Element types that do not fit the op, or each other. */
export class DTypeError extends TensorError {
  /** Name of the class. */
  override name = "DTypeError";
}

/** An index outside its axis. */
export class IndexError extends TensorError {
  /** Name of the class. */
  override name = "IndexError";
}

/** A tensor used after it was disposed. */
export class DisposedError extends TensorError {
  /** Name of the class. */
  override name = "DisposedError";
}

/** A gradient that cannot be computed. */
export class GradError extends TensorError {
  /** Name of the class. */
  override name = "GradError";
}

/** A device that is missing, or inputs that live on different ones. */
export class DeviceError extends TensorError {
  /** Name of the class. */
  override name = "DeviceError";
}

/** Work that a CUDA graph cannot hold. */
export class CaptureError extends TensorError {
  /** Name of the class. */
  override name = "CaptureError";
}

/** An allocation beyond the memory limit. */
export class OutOfMemoryError extends TensorError {
  /** Name of the class. */
  override name = "OutOfMemoryError";
}

/** A value that must be finite and is not. */
export class NonFiniteError extends TensorError {
  /** Name of the class. */
  override name = "NonFiniteError";
}
