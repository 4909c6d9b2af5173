/**
 * Whether cuBLASLt multiplies 8-bit floats, and which way their scales go.
 *
 * @module
 */
import { CudaDriver } from "../../ffi/cuda/mod.ts";
import { cublasLtSymbols } from "../../ffi/cuda/cublaslt_symbols.ts";
import { outPointer } from "../../ffi/cuda/status.ts";
import { LoadError, openLibrary } from "../../ffi/mod.ts";
import { device, scope, Tensor } from "../../tensor/mod.ts";
import { type Answer, answer, type Check, notHere } from "./check.ts";
import { libraryPath } from "./libraries.ts";

type CublasLt = Deno.StaticForeignLibraryInterface<typeof cublasLtSymbols>;

const computeF32 = 68, f32 = 0, bf16 = 14, e4m3 = 28; // of cublasComputeType_t and cudaDataType_t
const transposeA = 3, scaleA = 17, scaleB = 18, mostWorkspace = 1; // attributes
const one = 0x38; // as e4m3
const size = 64, algorithmBytes = 96, algorithmStatusAt = 72;

const pointerTo = (x: Tensor): Deno.PointerObject =>
  Deno.UnsafePointer.create(BigInt(x.storage.address))!;

function check(status: number, call: string): void {
  if (status !== 0) throw new Error(`${call}: status ${status}`);
}

/** Multiplies matrices of ones, the first scaled by a half, if there is an algorithm; returns what it gives. */
function multiply(c: CublasLt, stream: Deno.PointerObject): { found: number; value: number } {
  const on = { device: "cuda" } as const, bytes = new Uint8Array(size * size).fill(one);
  const [a, b] = [0, 1].map(() => Tensor.fromBytes(bytes, [size, size], { dtype: "u8", ...on }));
  const product = Tensor.zeros([size, size], { dtype: "bf16", ...on });
  const [half, whole] = [0.5, 1].map((value) => Tensor.from([value], undefined, on));
  product.sum().item(); // all of it is there
  const handle = outPointer((out) => check(c.cublasLtCreate(out), "cublasLtCreate"));
  const plan = outPointer((out) =>
    check(c.cublasLtMatmulDescCreate(out, computeF32, f32), "cublasLtMatmulDescCreate")
  );
  const set = (attribute: number, value: Int32Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>) =>
    check(
      c.cublasLtMatmulDescSetAttribute(plan, attribute, value, BigInt(value.byteLength)),
      `cublasLtMatmulDescSetAttribute(${attribute})`,
    );
  set(transposeA, Int32Array.of(1));
  set(scaleA, BigUint64Array.of(BigInt(half.storage.address)));
  set(scaleB, BigUint64Array.of(BigInt(whole.storage.address)));
  const n = BigInt(size);
  const [layout, resultLayout] = [e4m3, bf16].map((type) =>
    outPointer((out) =>
      check(c.cublasLtMatrixLayoutCreate(out, type, n, n, n), "cublasLtMatrixLayoutCreate")
    )
  );
  const preference = outPointer((out) =>
    check(c.cublasLtMatmulPreferenceCreate(out), "cublasLtMatmulPreferenceCreate")
  );
  const none = BigUint64Array.of(0n);
  const status = c.cublasLtMatmulPreferenceSetAttribute(preference, mostWorkspace, none, 8n);
  check(status, "cublasLtMatmulPreferenceSetAttribute");
  const algorithm = new Uint8Array(new ArrayBuffer(algorithmBytes)), count = new Int32Array(1);
  const layouts = [layout, layout, resultLayout, resultLayout] as const;
  c.cublasLtMatmulAlgoGetHeuristic(handle, plan, ...layouts, preference, 1, algorithm, count);
  const usable = new DataView(algorithm.buffer).getInt32(algorithmStatusAt, true) === 0;
  if (count[0] === 0 || !usable) return { found: 0, value: NaN };
  const factors = new Float32Array(new ArrayBuffer(8));
  const alpha = Deno.UnsafePointer.of(factors)!;
  const beta = Deno.UnsafePointer.create(Deno.UnsafePointer.value(alpha) + 4n);
  const [pa, pb, pc] = [a, b, product].map(pointerTo);
  factors.set([1, 0]);
  check(
    // deno-fmt-ignore
    c.cublasLtMatmul(
      handle, plan, alpha, pa, layout, pb, layout, beta, pc, resultLayout, pc, resultLayout,
      Deno.UnsafePointer.of(algorithm), null, 0n, stream,
    ),
    "cublasLtMatmul",
  );
  new CudaDriver().synchronize(stream);
  return { found: count[0], value: product.data()[0] as number };
}

/** Both operands e4m3 and transposed as Hopper wants it. */
export const fp8: Check = {
  question: "Does cuBLASLt have an algorithm for e4m3 products (TN), and do scales multiply?",
  required: false,
  run: ({ simulated }): Answer => {
    if (simulated) return notHere("the simulated cuBLASLt takes no scales");
    const path = libraryPath("cublasLt"), { capability } = device("cuda").description.device;
    if (path === null) return notHere("cuBLASLt is not installed");
    if (capability < 89) return notHere("compute capability 8.9 is needed");
    let c: CublasLt;
    try {
      c = openLibrary(path, cublasLtSymbols).symbols;
    } catch (error) {
      if (!(error instanceof LoadError)) throw error;
      return notHere("this cuBLASLt has no products");
    }
    const stream = new CudaDriver().createStream();
    const { found, value } = scope(() => multiply(c, stream));
    if (found === 0) return answer(false, "there is no algorithm");
    const text = `ones scaled by a half give ${value} for ${size} (${
      size / 2
    } where scales multiply)`;
    return answer(value === size / 2, text, { value });
  },
};
