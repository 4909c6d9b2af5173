/** Products of 8-bit floats, libcublasLt.so: functions that return i32 return a cublasStatus_t. */
export const cublasLtSymbols = {
  cublasLtGetVersion: { parameters: [], result: "usize" },
  cublasLtCreate: { parameters: ["buffer"], result: "i32" },
  cublasLtMatmulDescCreate: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  cublasLtMatmulDescSetAttribute: {
    parameters: ["pointer", "i32", "buffer", "usize"],
    result: "i32",
  },
  cublasLtMatrixLayoutCreate: {
    parameters: ["buffer", "i32", "u64", "u64", "i64"],
    result: "i32",
  },
  cublasLtMatmulPreferenceCreate: { parameters: ["buffer"], result: "i32" },
  cublasLtMatmulPreferenceSetAttribute: {
    parameters: ["pointer", "i32", "buffer", "usize"],
    result: "i32",
  },
  // deno-fmt-ignore
  cublasLtMatmulAlgoGetHeuristic: {
    parameters: [
      "pointer", "pointer",
      "pointer", "pointer", "pointer", "pointer",
      "pointer",
      "i32",
      "buffer",
      "buffer",
    ],
    result: "i32",
  },
  // deno-fmt-ignore
  cublasLtMatmul: {
    parameters: [
      "pointer", "pointer", "pointer",
      "pointer", "pointer", "pointer", "pointer",
      "pointer",
      "pointer", "pointer", "pointer", "pointer",
      "pointer", "pointer",
      "usize",
      "pointer",
    ],
    result: "i32",
  },
} as const;
