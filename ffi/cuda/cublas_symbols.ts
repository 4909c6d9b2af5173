/**
 * Matrix products, libcublas.so: every function but the last two returns a cublasStatus_t.
 *
 * Device addresses of operands are u64, because they are computed for each call and a pointer object would cost more.
 */
export const cublasSymbols = {
  cublasCreate_v2: { parameters: ["buffer"], result: "i32" },
  cublasSetStream_v2: { parameters: ["pointer", "pointer"], result: "i32" },
  cublasSetWorkspace_v2: { parameters: ["pointer", "pointer", "usize"], result: "i32" },
  cublasGetVersion_v2: { parameters: ["pointer", "buffer"], result: "i32" },
  // deno-fmt-ignore
  cublasGemmEx: {
    parameters: [
      "pointer",
      "i32", "i32", "i32", "i32", "i32",
      "pointer",
      "u64", "i32", "i32",
      "u64", "i32", "i32",
      "pointer",
      "u64", "i32", "i32",
      "i32",
      "i32",
    ],
    result: "i32",
  },
  // deno-fmt-ignore
  cublasGemmStridedBatchedEx: {
    parameters: [
      "pointer",
      "i32", "i32", "i32", "i32", "i32",
      "pointer",
      "u64", "i32", "i32", "i64",
      "u64", "i32", "i32", "i64",
      "pointer",
      "u64", "i32", "i32", "i64",
      "i32",
      "i32",
      "i32",
    ],
    result: "i32",
  },
  cublasGetStatusName: { parameters: ["i32"], result: "pointer" },
  cublasGetStatusString: { parameters: ["i32"], result: "pointer" },
} as const;
