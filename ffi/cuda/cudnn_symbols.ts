/** cuDNN's graph interface, libcudnn.so.9: functions that return i32 return a cudnnStatus_t. */
export const cudnnSymbols = {
  cudnnGetVersion: { parameters: [], result: "usize" },
  cudnnGetErrorString: { parameters: ["i32"], result: "pointer" },
  cudnnGetLastErrorString: { parameters: ["buffer", "usize"], result: "void" },
  cudnnCreate: { parameters: ["buffer"], result: "i32" },
  cudnnSetStream: { parameters: ["pointer", "pointer"], result: "i32" },
  cudnnBackendCreateDescriptor: { parameters: ["i32", "buffer"], result: "i32" },
  cudnnBackendDestroyDescriptor: { parameters: ["pointer"], result: "i32" },
  cudnnBackendSetAttribute: {
    parameters: ["pointer", "i32", "i32", "i64", "buffer"],
    result: "i32",
  },
  cudnnBackendGetAttribute: {
    parameters: ["pointer", "i32", "i32", "i64", "buffer", "buffer"],
    result: "i32",
  },
  cudnnBackendFinalize: { parameters: ["pointer"], result: "i32" },
  cudnnBackendExecute: { parameters: ["pointer", "pointer", "pointer"], result: "i32" },
} as const;
