import { openLibrary } from "../library.ts";
import { cublasLtSymbols } from "./cublaslt_symbols.ts";
import { cublasHints, outPointer, statusError } from "./status.ts";

/** Element types, as cudaDataType_t numbers them. */
const f32 = 0, e4m3 = 28;
const computeF32 = 68, transposed = 1;
/** Attributes, as the library numbers them. */
const attributes = { transposeA: 3, maxWorkspaceBytes: 1, minAlignments: [5, 6, 7, 8] } as const;
/** Bytes that all addresses are multiples of; it takes 256 for granted otherwise. */
const alignment = 16;
/** Of a result of the heuristics: the algorithm's own bytes, and where its status is. */
const algorithmBytes = 64, statusAt = 72, resultBytes = 96;

const notSupported = 15;
const statusNames: Readonly<Record<number, string>> = {
  1: "CUBLAS_STATUS_NOT_INITIALIZED",
  3: "CUBLAS_STATUS_ALLOC_FAILED",
  7: "CUBLAS_STATUS_INVALID_VALUE",
  8: "CUBLAS_STATUS_ARCH_MISMATCH",
  13: "CUBLAS_STATUS_EXECUTION_FAILED",
  15: "CUBLAS_STATUS_NOT_SUPPORTED",
};

/** y = x·Wᵀ of e4m3 numbers. W: [outs, width], x: [rows, width], y: f32 [rows, outs]; outs and width multiples of 16. */
export interface Fp8Product {
  readonly outs: number;
  readonly rows: number;
  readonly width: number;
  /** Address of W. */
  readonly weights: number;
  /** Address of x. */
  readonly x: number;
  /** Address of y. */
  readonly y: number;
}

/** How a product of one size is computed. */
interface Method {
  readonly weights: Deno.PointerObject;
  readonly x: Deno.PointerObject;
  readonly y: Deno.PointerObject;
  readonly algorithm: Deno.PointerObject;
  /** Keeps the algorithm's bytes where they are. */
  readonly bytes: ArrayBuffer;
}

/** Products of 8-bit floats on one stream, which cuBLAS itself does not have. */
export class CublasLt {
  /** Its version, as `130002`. */
  readonly version: number;
  readonly #c: Deno.StaticForeignLibraryInterface<typeof cublasLtSymbols>;
  readonly #handle: Deno.PointerObject;
  readonly #stream: Deno.PointerObject;
  readonly #workspace: { readonly address: number; readonly bytes: number };
  readonly #product: Deno.PointerObject;
  readonly #preference: Deno.PointerObject;
  readonly #methods = new Map<string, Method>();
  // The factors 0 and 1, read by the library during the call. In a buffer of its own, because V8 may move what lies on
  // its heap.
  readonly #factors = new Float32Array(new ArrayBuffer(8));
  readonly #zero: Deno.PointerObject;
  readonly #one: Deno.PointerObject;

  /**
   * Loads the library and starts it on the current device.
   *
   * @param path Where it is, from `findCudaLibrary`.
   * @param stream Where products run.
   * @param workspace Memory of the device that they may use meanwhile.
   * @throws {LoadError} When it cannot be opened.
   * @throws {NativeError} When it does not start.
   */
  constructor(
    readonly path: string,
    stream: Deno.PointerObject,
    workspace: { readonly address: number; readonly bytes: number },
  ) {
    const c = this.#c = openLibrary(path, cublasLtSymbols).symbols;
    this.version = Number(c.cublasLtGetVersion());
    [this.#stream, this.#workspace] = [stream, workspace];
    this.#handle = outPointer((out) => this.#check(c.cublasLtCreate(out), "cublasLtCreate"));
    this.#product = outPointer((out) =>
      this.#check(c.cublasLtMatmulDescCreate(out, computeF32, f32), "cublasLtMatmulDescCreate")
    );
    this.#check(
      c.cublasLtMatmulDescSetAttribute(
        this.#product,
        attributes.transposeA,
        Int32Array.of(transposed),
        4n,
      ),
      "cublasLtMatmulDescSetAttribute",
    );
    this.#preference = this.#makePreference();
    this.#factors.set([0, 1]);
    this.#zero = Deno.UnsafePointer.of(this.#factors)!;
    this.#one = Deno.UnsafePointer.create(Deno.UnsafePointer.value(this.#zero) + 4n)!;
  }

  /** Starts a product. Throws NativeError where the device has none of this size. */
  multiply({ outs, rows, width, weights, x, y }: Fp8Product): void {
    const key = `${outs} ${rows} ${width}`;
    let method = this.#methods.get(key);
    if (!method) this.#methods.set(key, method = this.#makeMethod(outs, rows, width));
    const [a, b, d] = [weights, x, y].map((at) => Deno.UnsafePointer.create(BigInt(at)));
    const { address, bytes } = this.#workspace;
    // deno-fmt-ignore
    const status = this.#c.cublasLtMatmul(
      this.#handle, this.#product, this.#one,
      a, method.weights, b, method.x, this.#zero,
      d, method.y, d, method.y,
      method.algorithm, Deno.UnsafePointer.create(BigInt(address)), BigInt(bytes), this.#stream,
    );
    if (status !== 0) this.#check(status, `cublasLtMatmul(${outs}, ${rows}, ${width})`);
  }

  /** The library takes matrices column by column, so that rows here are columns there: yᵀ = (Wᵀ)ᵀ·xᵀ. */
  #makeMethod(outs: number, rows: number, width: number): Method {
    const weights = this.#makeLayout(e4m3, width, outs), x = this.#makeLayout(e4m3, width, rows);
    const y = this.#makeLayout(f32, outs, rows), bytes = new ArrayBuffer(resultBytes);
    const found = new Int32Array(1),
      call = `cublasLtMatmulAlgoGetHeuristic(${outs}, ${rows}, ${width})`;
    // deno-fmt-ignore
    this.#check(this.#c.cublasLtMatmulAlgoGetHeuristic(
      this.#handle, this.#product, weights, x, y, y, this.#preference, 1, new Uint8Array(bytes), found,
    ), call);
    this.#check(found[0] === 0 ? notSupported : new DataView(bytes).getInt32(statusAt, true), call);
    const algorithm = Deno.UnsafePointer.of(new Uint8Array(bytes, 0, algorithmBytes))!;
    return { weights, x, y, algorithm, bytes };
  }

  #makeLayout(type: number, rows: number, columns: number): Deno.PointerObject {
    const sizes = [BigInt(rows), BigInt(columns), BigInt(rows)] as const;
    return outPointer((out) =>
      this.#check(
        this.#c.cublasLtMatrixLayoutCreate(out, type, ...sizes),
        "cublasLtMatrixLayoutCreate",
      )
    );
  }

  #makePreference(): Deno.PointerObject {
    const c = this.#c;
    const preference = outPointer((out) =>
      this.#check(c.cublasLtMatmulPreferenceCreate(out), "cublasLtMatmulPreferenceCreate")
    );
    const set = (attribute: number, value: ArrayBufferView<ArrayBuffer>): void =>
      this.#check(
        c.cublasLtMatmulPreferenceSetAttribute(
          preference,
          attribute,
          value as Uint8Array<ArrayBuffer>,
          BigInt(value.byteLength),
        ),
        "cublasLtMatmulPreferenceSetAttribute",
      );
    set(attributes.maxWorkspaceBytes, BigUint64Array.of(BigInt(this.#workspace.bytes)));
    for (const attribute of attributes.minAlignments) set(attribute, Uint32Array.of(alignment));
    return preference;
  }

  #check(status: number, call: string): void {
    if (status === 0) return;
    throw statusError(call, status, statusNames[status] ?? "", "", cublasHints);
  }
}
