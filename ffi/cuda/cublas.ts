import { openLibrary } from "../library.ts";
import { cublasSymbols } from "./cublas_symbols.ts";
import { cublasHints, outInteger, outPointer, statusError, textAt } from "./status.ts";

/** Element types, as cudaDataType_t numbers them. */
export const cudaTypes = { f32: 0, f64: 1, f16: 2, bf16: 14 } as const;

/** One operand of a product, column by column in memory. */
export interface GemmOperand {
  /** Address on the device. */
  readonly address: number;
  /** Element type, of `cudaTypes`. */
  readonly type: number;
  /** Elements from one column to the next. */
  readonly leading: number;
  /** Elements from one matrix of a batch to the next. */
  readonly batchStride: number;
}

/** C = op(A)·op(B) + beta·C for a batch of matrices that lie column by column; A: [m, k], B: [k, n], C: [m, n]. */
export interface Gemm {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly a: GemmOperand;
  readonly b: GemmOperand;
  readonly c: GemmOperand;
  /** Whether to add to what C holds. */
  readonly accumulate: boolean;
}

const computeF32 = 68, computeTf32 = 77, defaultAlgorithm = -1;

/** Matrix products on one stream. */
export class Cublas {
  /** Its version, as `130002`. */
  readonly version: number;
  /** Whether f32 factors are rounded to TF32, 10 bits of mantissa, for tensor cores; sums stay f32. */
  allowTf32: boolean = false;
  readonly #c: Deno.StaticForeignLibraryInterface<typeof cublasSymbols>;
  readonly #handle: Deno.PointerObject;
  // The factors, read by the library during the call: 1 for the product, and 0 or 1 for what the output holds.
  // In a buffer of its own, because V8 may move what lies on its heap.
  readonly #factors = new Float32Array(new ArrayBuffer(8));
  readonly #zero: Deno.PointerObject;
  readonly #one: Deno.PointerObject;

  /**
   * Loads the library and starts it on the current device. cuBLASLt, which it needs, is loaded first, so that the loader
   * does not pick another version of it.
   *
   * @param path Where cuBLAS is, from `findCudaLibrary`.
   * @param ltPath Where cuBLASLt is.
   * @param stream Where products run.
   * @throws {LoadError} When it cannot be opened.
   * @throws {NativeError} When it does not start.
   */
  constructor(readonly path: string, ltPath: string, stream: Deno.PointerObject) {
    openLibrary(ltPath, {});
    this.#c = openLibrary(path, cublasSymbols).symbols;
    this.#handle = outPointer((out) =>
      this.#check(this.#c.cublasCreate_v2(out), "cublasCreate_v2")
    );
    this.#check(this.#c.cublasSetStream_v2(this.#handle, stream), "cublasSetStream_v2");
    this.version = outInteger((out) =>
      this.#check(this.#c.cublasGetVersion_v2(this.#handle, out), "cublasGetVersion_v2")
    );
    this.#factors.set([0, 1]);
    const base = Deno.UnsafePointer.of(this.#factors)!;
    this.#zero = base;
    this.#one = Deno.UnsafePointer.create(Deno.UnsafePointer.value(base) + 4n)!;
  }

  /** Memory of the device that products may use while they run. */
  useWorkspace(address: number, bytes: number): void {
    this.#check(
      this.#c.cublasSetWorkspace_v2(
        this.#handle,
        Deno.UnsafePointer.create(BigInt(address)),
        BigInt(bytes),
      ),
      "cublasSetWorkspace_v2",
    );
  }

  /** Starts a product; sums are f32. */
  multiply({ m, n, k, batch, transposeA, transposeB, a, b, c, accumulate }: Gemm): void {
    const beta = accumulate ? this.#one : this.#zero;
    const compute = this.allowTf32 && a.type === cudaTypes.f32 ? computeTf32 : computeF32;
    const ta = transposeA ? 1 : 0, tb = transposeB ? 1 : 0;
    const [addressA, addressB, addressC] = [
      BigInt(a.address),
      BigInt(b.address),
      BigInt(c.address),
    ];
    const status = batch === 1
      // deno-fmt-ignore
      ? this.#c.cublasGemmEx(
        this.#handle, ta, tb, m, n, k, this.#one,
        addressA, a.type, a.leading,
        addressB, b.type, b.leading, beta,
        addressC, c.type, c.leading, compute, defaultAlgorithm,
      )
      // deno-fmt-ignore
      : this.#c.cublasGemmStridedBatchedEx(
        this.#handle, ta, tb, m, n, k, this.#one,
        addressA, a.type, a.leading, BigInt(a.batchStride),
        addressB, b.type, b.leading, BigInt(b.batchStride), beta,
        addressC, c.type, c.leading, BigInt(c.batchStride), batch, compute, defaultAlgorithm,
      );
    if (status !== 0) this.#check(status, `cublasGemmEx(${m}, ${n}, ${k}, batch ${batch})`);
  }

  #check(status: number, call: string): void {
    if (status === 0) return;
    const name = textAt(this.#c.cublasGetStatusName(status));
    const text = textAt(this.#c.cublasGetStatusString(status));
    throw statusError(call, status, name, text, cublasHints);
  }
}
