/**
 * Tensors with gradients, on kernels that are compiled on first use.
 *
 * @example
 * ```ts
 * import { scope, Tensor } from "@denotron/denotron/tensor";
 * using weight = Tensor.from([1, 2, 3]).requireGrad();
 * scope(() => weight.mul(weight).sum().backward());
 * console.assert(weight.grad!.data().join() === "2,4,6");
 * ```
 *
 * @module
 */
export {
  attach,
  type Edge,
  isRecording,
  type Node,
  noGrad,
  type Rule,
  withRecording,
} from "./autograd.ts";
export type { Backend } from "./backend/backend.ts";
export type { CpuBackend } from "./backend/cpu.ts";
export type { MemoryBlock, MemorySegment, MemoryStats } from "./backend/pool.ts";
export { checkpoint, type CheckpointBody } from "./checkpoint.ts";
export type { CudaDevice } from "../ffi/cuda/mod.ts";
export type { Graph, GraphSetting } from "./backend/backend.ts";
export type { CudaAttentionDescription, CudaBackend, CudaDescription } from "./backend/cuda.ts";
export type { CudnnSetting } from "./backend/cuda_attention.ts";
export type { CudaGraph } from "./backend/cuda_graph.ts";
export type { GraphMemory } from "./backend/graph_memory.ts";
export {
  type Collective,
  type GroupOptions,
  joinGroup,
  newGroupId,
  type Reduction,
} from "./collective.ts";
export { defaultDevice, device, type DeviceName } from "./device.ts";
export * from "./dtype.ts";
export * from "./errors.ts";
export * from "./layout.ts";
export * from "./losses/mod.ts";
export type * from "./op.ts";
export type { AttentionOptions } from "./ops/attention.ts";
export type { LayerNormOptions } from "./ops/layer_norm.ts";
export type { NormalOptions, RandomOptions } from "./ops/random.ts";
export type { RopeOptions, RopeStyle } from "./ops/rope.ts";
export * from "./random.ts";
export * from "./replays.ts";
export * from "./rope_table.ts";
export * from "./safetensors.ts";
export { scope, type Tracked } from "./scope.ts";
export * from "./sequences.ts";
export { Handle } from "./handle.ts";
export type { Nested } from "./nested.ts";
export type { Axes } from "./reduce_axes.ts";
export * from "./step_control.ts";
export { Storage } from "./storage.ts";
export { call, callInto, Tensor, type TensorOptions, view } from "./tensor.ts";
export {
  adamw,
  type AdamwArena,
  type AdamwConstants,
  type AdamwFactorOptions,
  type AdamwOptions,
  clipByGlobalNorm,
  clipScale,
  ema,
  globalNorm,
  sgd,
  type SgdArena,
  type SgdOptions,
  type StepArena,
  type StepOptions,
} from "./updates.ts";
