/** Collectives between devices, libnccl.so.2: functions that return i32 return an ncclResult_t. */
export const ncclSymbols = {
  ncclGetVersion: { parameters: ["buffer"], result: "i32" },
  ncclGetErrorString: { parameters: ["i32"], result: "pointer" },
  ncclGetLastError: { parameters: ["pointer"], result: "pointer" },
  ncclGetUniqueId: { parameters: ["buffer"], result: "i32" },
  // deno-fmt-ignore
  ncclCommInitRank: {
    parameters: [
      "buffer",
      "i32",
      // ncclUniqueId, 128 bytes by value
      {
        struct: [
          "u64", "u64", "u64", "u64", "u64", "u64", "u64", "u64",
          "u64", "u64", "u64", "u64", "u64", "u64", "u64", "u64",
        ],
      },
      "i32",
    ],
    result: "i32",
  },
  ncclCommDestroy: { parameters: ["pointer"], result: "i32" },
  ncclCommAbort: { parameters: ["pointer"], result: "i32" },
  ncclCommGetAsyncError: { parameters: ["pointer", "buffer"], result: "i32" },
  ncclAllReduce: {
    parameters: ["pointer", "pointer", "usize", "i32", "i32", "pointer", "pointer"],
    result: "i32",
  },
  ncclReduceScatter: {
    parameters: ["pointer", "pointer", "usize", "i32", "i32", "pointer", "pointer"],
    result: "i32",
  },
  ncclAllGather: {
    parameters: ["pointer", "pointer", "usize", "i32", "pointer", "pointer"],
    result: "i32",
  },
  ncclBroadcast: {
    parameters: ["pointer", "pointer", "usize", "i32", "i32", "pointer", "pointer"],
    result: "i32",
  },
  ncclGroupStart: { parameters: [], result: "i32" },
  ncclGroupEnd: { parameters: [], result: "i32" },
} as const;
