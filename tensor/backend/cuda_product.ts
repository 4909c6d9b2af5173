/**
 * Products of row-major matrices by cuBLAS, which takes them column by column: C = A·B is computed as Cᵀ = Bᵀ·Aᵀ, for a
 * matrix that lies row by row is its transpose that lies column by column.
 *
 * @module
 */
import { cudaTypes, type Gemm, type GemmOperand } from "../../ffi/cuda/mod.ts";
import type { DType } from "../dtype.ts";
import type { MatrixProduct, View } from "../op.ts";
import { addressOf } from "../ops/address.ts";

/** How a matrix [rows, columns] lies in memory, as cuBLAS can be told. */
interface Lie {
  /** Elements from one row to the next, or from one column to the next when it lies column by column. */
  readonly leading: number;
  /** Whether it lies column by column. */
  readonly byColumns: boolean;
}

/** How a matrix lies; null when cuBLAS cannot read it: neither rows nor columns are dense, or they overlap. */
function lieOf({ shape, strides }: View): Lie | null {
  const [rows, columns] = shape.slice(-2), [down, along] = strides.slice(-2);
  if ((along === 1 || columns === 1) && (down >= columns || rows === 1)) {
    return { leading: Math.max(down, columns, 1), byColumns: false };
  }
  if ((down === 1 || rows === 1) && (along >= rows || columns === 1)) {
    return { leading: Math.max(along, rows, 1), byColumns: true };
  }
  return null;
}

/** Whether cuBLAS reads a matrix where it lies. */
export function isMultipliable(x: View): boolean {
  return lieOf(x) !== null;
}

/** Whether cuBLAS has products of this element type. */
export function hasProducts(dtype: DType): dtype is "f32" | "bf16" {
  return dtype === "f32" || dtype === "bf16";
}

function operand(x: View, leading: number): GemmOperand {
  return {
    address: addressOf(x),
    type: cudaTypes[x.dtype as "f32" | "bf16"],
    leading,
    batchStride: x.shape.length === 3 ? x.strides[0] : 0,
  };
}

/** The call that computes a product of matrices that `isMultipliable`. */
export function gemmOf({ a, b, c, accumulate }: MatrixProduct): Gemm {
  const [rows, k] = a.shape.slice(-2), columns = b.shape.at(-1)!;
  const lieA = lieOf(a)!, lieB = lieOf(b)!;
  return {
    m: columns,
    n: rows,
    k,
    batch: c.shape.length === 3 ? c.shape[0] : 1,
    transposeA: lieB.byColumns,
    transposeB: lieA.byColumns,
    a: operand(b, lieB.leading),
    b: operand(a, lieA.leading),
    c: operand(c, columns),
    accumulate,
  };
}
