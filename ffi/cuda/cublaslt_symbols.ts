/** Matrix products with epilogues and of 8-bit floats, libcublasLt.so: every function returns a cublasStatus_t. */
export const cublasLtSymbols = {
  cublasLtCreate: { parameters: ["buffer"], result: "i32" },
  cublasLtDestroy: { parameters: ["pointer"], result: "i32" },
  cublasLtMatmulDescCreate: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  cublasLtMatmulDescSetAttribute: {
    parameters: ["pointer", "i32", "buffer", "usize"],
    result: "i32",
  },
  cublasLtMatmulDescDestroy: { parameters: ["pointer"], result: "i32" },
  cublasLtMatrixLayoutCreate: {
    parameters: ["buffer", "i32", "u64", "u64", "i64"],
    result: "i32",
  },
  cublasLtMatrixLayoutSetAttribute: {
    parameters: ["pointer", "i32", "buffer", "usize"],
    result: "i32",
  },
  cublasLtMatrixLayoutDestroy: { parameters: ["pointer"], result: "i32" },
  cublasLtMatmulPreferenceCreate: { parameters: ["buffer"], result: "i32" },
  cublasLtMatmulPreferenceSetAttribute: {
    parameters: ["pointer", "i32", "buffer", "usize"],
    result: "i32",
  },
  cublasLtMatmulPreferenceDestroy: { parameters: ["pointer"], result: "i32" },
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
