/**
 * Exchange between processes that train one model, each on a device of its own.
 *
 * Parameters, gradients and the optimizer's state lie in flat arenas, so that one call exchanges all of a model: sum the
 * gradients with `allReduce`, or give each rank its share with `reduceScatter` and collect what they made of it with
 * `allGather`. Nothing in the library trains on several devices yet.
 *
 * @module
 */
import { findCudaLibrary, Nccl } from "../ffi/cuda/mod.ts";
import { device } from "./device.ts";
import { DeviceError, DTypeError, ShapeError } from "./errors.ts";
import { formatShape, isContiguous } from "./layout.ts";
import { addressOf } from "./ops/address.ts";
import type { Tensor } from "./tensor.ts";

/** How numbers of all ranks become one. */
export type Reduction = "sum" | "average" | "max";

/** Which processes belong together. */
export interface GroupOptions {
  /** Which one this is, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly ranks: number;
  /** What one of them got from `newGroupId()`, and gave the others. */
  readonly id: string;
}

/** Ranks that exchange tensors. All of them must make the same calls, in the same order. */
export interface Collective extends Disposable {
  /** Which one this is, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly ranks: number;
  /** x becomes what all ranks have there, reduced element by element. x: contiguous, f32 or bf16. */
  allReduce(x: Tensor, reduction?: Reduction): void;
  /** `part` becomes this rank's share of x, reduced over all ranks. x: [ranks · n], part: [n]. */
  reduceScatter(x: Tensor, part: Tensor, reduction?: Reduction): void;
  /** x becomes the parts of all ranks, one after the other. part: [n], x: [ranks · n]. */
  allGather(part: Tensor, x: Tensor): void;
  /** x becomes what rank `root` has there. */
  broadcast(x: Tensor, root?: number): void;
  /** Throws NativeError when an exchange has failed since, as when another rank is gone. */
  check(): void;
}

/** A new id for a group, as text that fits a variable of the environment. Throws LoadError without NCCL. */
export function newGroupId(): string {
  return openNccl().uniqueId().toHex();
}

/**
 * Joins a group on the GPU; waits until all ranks have joined.
 *
 * @throws {LoadError} Without NCCL.
 * @throws {RangeError} For a rank that is not of the group, or an id that is none.
 * @throws {NativeError} When the other ranks do not come.
 */
export function joinGroup({ rank, ranks, id }: GroupOptions): Collective {
  const { stream } = device("cuda"), group = openNccl().join(idOf(id), rank, ranks);
  return {
    rank,
    ranks,
    allReduce(x, reduction = "sum") {
      const at = placeOf("allReduce", x), type = typeOf("allReduce", x);
      group.allReduce({ from: at, to: at, count: x.size, type }, reduction, stream);
    },
    reduceScatter(x, part, reduction = "sum") {
      const exchange = partsOf("reduceScatter", x, part, ranks);
      group.reduceScatter(
        { ...exchange, from: exchange.whole, to: exchange.part },
        reduction,
        stream,
      );
    },
    allGather(part, x) {
      const exchange = partsOf("allGather", x, part, ranks);
      group.allGather({ ...exchange, from: exchange.part, to: exchange.whole }, stream);
    },
    broadcast(x, root = 0) {
      const at = placeOf("broadcast", x), type = typeOf("broadcast", x);
      group.broadcast({ from: at, to: at, count: x.size, type }, root, stream);
    },
    check: () => group.checkHealth(),
    [Symbol.dispose]: () => group[Symbol.dispose](),
  };
}

function openNccl(): Nccl {
  return new Nccl(findCudaLibrary("nccl"));
}

function idOf(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromHex(text);
  } catch (error) {
    if (error instanceof SyntaxError) return new Uint8Array(); // refused with its length
    throw error;
  }
}

function typeOf(who: string, { dtype }: Tensor): "f32" | "bf16" {
  if (dtype === "f32" || dtype === "bf16") return dtype;
  throw new DTypeError(`${who}: ${dtype} is not exchanged. Pass f32 or bf16.`);
}

function placeOf(who: string, x: Tensor): number {
  if (x.device !== "cuda") {
    throw new DeviceError(`${who}: the tensor is on ${x.device}. Move it: x.to("cuda").`);
  }
  if (!isContiguous(x)) {
    throw new ShapeError(
      `${who}: the tensor's numbers do not lie in order, ${
        formatShape(x.shape)
      }. Pass a contiguous one.`,
    );
  }
  return addressOf(x);
}

function partsOf(who: string, x: Tensor, part: Tensor, ranks: number): {
  readonly whole: number;
  readonly part: number;
  readonly count: number;
  readonly type: "f32" | "bf16";
} {
  const type = typeOf(who, x);
  if (part.dtype !== type || x.size !== ranks * part.size) {
    throw new ShapeError(
      `${who}: the whole is not ${ranks} parts, ${formatShape(x.shape)} ${x.dtype} and ${
        formatShape(part.shape)
      } ${part.dtype} (${x.size} vs ${ranks * part.size}). Pass [ranks · n] and [n] of one type.`,
    );
  }
  return { whole: placeOf(who, x), part: placeOf(who, part), count: part.size, type };
}
