/**
 * Which attention a GPU uses: our own kernels, or cuDNN's where it has an engine and that is faster.
 *
 * cuDNN is only used once it has agreed with our kernels on a small case. Then each form of call is measured when it has
 * come a few times; `DENOTRON_CUDNN` decides without measuring, so that two runs compute the same bits.
 *
 * @module
 */
import { NativeError } from "../../ffi/mod.ts";
import type { Cudnn, CudnnPlan, Four } from "../../ffi/cuda/mod.ts";
import { DeviceError } from "../errors.ts";
import type { BatchAttention, View } from "../op.ts";
import { addressOf } from "../ops/address.ts";
import { headSizes } from "../ops/heads.ts";
import { type AttentionForm, backwardGraph, forwardGraph } from "./cudnn_graphs.ts";
import type { MemoryBlock } from "./pool.ts";

/** Plans take a second to make, so a form must come more often than that. */
const measuredAfter = 3;
const measuredCalls = 4;
/** Long sequences would take more than there is, because gradients are added up in the same order each time. */
const mostWorkspaceBytes = 2 ** 30;

/** What the environment asks for. */
export type CudnnSetting = "always" | "never" | "measured";

/** Reads `DENOTRON_CUDNN`: 1 for cuDNN, 0 for our own kernels, nothing for what is faster. Throws RangeError. */
export function cudnnSetting(): CudnnSetting {
  const given = Deno.env.get("DENOTRON_CUDNN") ?? "";
  if (given === "") return "measured";
  if (given !== "0" && given !== "1") {
    throw new RangeError(
      `DENOTRON_CUDNN: "${given}" is not understood. Use 1 for cuDNN's attention, 0 for our own, nothing for the faster.`,
    );
  }
  return given === "1" ? "always" : "never";
}

/** What the attention of a device needs of it. */
export interface AttentionDevice {
  /** Opens cuDNN. Throws LoadError or NativeError. */
  open(): Cudnn;
  /** Why cuDNN's attention is wrong on a small case; empty when it is right. */
  check(compute: (call: BatchAttention) => void): string;
  /** Memory for a call. */
  take(bytes: number): MemoryBlock;
  /** Gives it back. */
  give(block: MemoryBlock): void;
  /** Waits for all work. */
  wait(): void;
  /** Whether work is only taken down now, not done. */
  readonly capturing: boolean;
}

/** A form of calls, and what was decided about it. */
interface Form {
  calls: number;
  /** cuDNN's, once it was made; null when our own kernels are used. */
  plan: CudnnPlan | null;
  decided: boolean;
}

/** Chooses, form by form. */
export class CudaAttention {
  /** What the environment asks for. */
  readonly setting: CudnnSetting = cudnnSetting();
  readonly #device: AttentionDevice;
  readonly #forms = new Map<string, Form>();
  #cudnn: Cudnn | null | undefined;
  #why = "";

  /** Attention on `device`. */
  constructor(device: AttentionDevice) {
    this.#device = device;
  }

  /** cuDNN, opened and checked; null when it is not used. */
  get cudnn(): Cudnn | null {
    return this.#cudnn ??= this.#open();
  }

  /** Why cuDNN is not used; empty when it is. */
  get why(): string {
    return this.cudnn ? "" : this.#why;
  }

  /**
   * Computes attention by cuDNN if that is better than `own`, which computes it by our kernels. Returns whether it is
   * done. Throws DeviceError where cuDNN is asked for and cannot be used.
   */
  run(call: BatchAttention, own: () => void): boolean {
    if (this.setting === "never") return false;
    const form = formOf(call);
    if (!form) return false;
    const decision = this.#decide(call, form, own);
    if (decision.plan) this.#compute(decision.plan, call, form);
    return decision.plan !== null;
  }

  #decide(call: BatchAttention, form: AttentionForm, own: () => void): Form {
    const key = JSON.stringify([call.backward !== null, form]);
    let known = this.#forms.get(key);
    if (!known) this.#forms.set(key, known = { calls: 0, plan: null, decided: false });
    known.calls++;
    const ready = this.setting === "always" || known.calls > measuredAfter;
    if (known.decided || !ready || this.#device.capturing) return known;
    known.decided = true;
    const plan = this.cudnn && this.#plan(this.cudnn, form, call.backward !== null);
    if (plan && (this.setting === "always" || this.#isFaster(plan, call, form, own))) {
      known.plan = plan;
    }
    return known;
  }

  /** cuDNN's plan; null where it has none, or where that takes too much memory. */
  #plan(cudnn: Cudnn, form: AttentionForm, backward: boolean): CudnnPlan | null {
    try {
      const plan = (backward ? backwardGraph : forwardGraph)(cudnn, form).plan();
      return plan.workspaceBytes <= mostWorkspaceBytes ? plan : null;
    } catch (error) {
      if (error instanceof NativeError) return null;
      throw error;
    }
  }

  #isFaster(plan: CudnnPlan, call: BatchAttention, form: AttentionForm, own: () => void): boolean {
    const milliseconds = (compute: () => void): number => {
      compute(); // loads what it needs
      this.#device.wait();
      const start = performance.now();
      for (let i = 0; i < measuredCalls; i++) compute();
      this.#device.wait();
      return performance.now() - start;
    };
    return milliseconds(() => this.#compute(plan, call, form)) < milliseconds(own);
  }

  #compute(
    plan: CudnnPlan,
    { q, k, v, out, lse, backward }: BatchAttention,
    form: AttentionForm,
  ): void {
    const device = this.#device, { batch, heads, queries } = form;
    const deltaBytes = backward ? Math.ceil(batch * heads * queries / 64) * 256 : 0;
    const block = device.take(Math.max(16, deltaBytes + plan.workspaceBytes));
    const delta = block.segment.address + block.offset;
    const views = [q, k, v, out, lse];
    if (backward) views.push(backward.dout, backward.dq, backward.dk, backward.dv);
    try {
      plan.run([...views.map(addressOf), ...backward ? [delta] : []], delta + deltaBytes);
    } finally {
      device.give(block);
    }
  }

  #open(): Cudnn | null {
    try {
      const cudnn = this.#device.open();
      this.#why = this.#device.check((call) => {
        const form = formOf(call)!;
        const plan = (call.backward ? backwardGraph : forwardGraph)(cudnn, form).plan();
        this.#compute(plan, call, form);
      });
      if (this.#why === "") return cudnn;
    } catch (error) {
      if (this.setting === "always") throw error;
      this.#why = (error as Error).message;
      return null;
    }
    if (this.setting === "always") {
      throw new DeviceError(
        `device: cuDNN's attention cannot be used, ${this.#why}. Unset DENOTRON_CUDNN, or set it to 0.`,
      );
    }
    console.error(`denotron: cuDNN's attention is not used, ${this.#why}.`);
    return null;
  }
}

/** A call as cuDNN takes it; null when it does not: it wants bf16, whole vectors of 16 bytes, and a square mask. */
function formOf(
  { q, k, v, out, lse, backward, causal, scale }: BatchAttention,
): AttentionForm | null {
  const { batch, time: queries, heads, headDim } = headSizes(q.shape);
  const { time: keys, heads: kvHeads } = headSizes(k.shape);
  const all = [q, k, v, out, lse, ...backward ? Object.values(backward) : []];
  const fits = q.dtype === "bf16" && headDim % 8 === 0 && headDim <= 256 && keys > 0 &&
    (!causal || queries === keys) && all.every((x) => addressOf(x) % 16 === 0) &&
    [q, k, v].every(({ strides }) => strides.slice(0, -1).every((step) => step % 8 === 0));
  if (!fits) return null;
  const strides = [stridesOf(q), stridesOf(k), stridesOf(v)] as const;
  return { batch, heads, kvHeads, queries, keys, headDim, causal, scale, strides };
}

/** Strides of [batch, heads, time, headDim]. */
function stridesOf({ shape, strides }: View): Four {
  const [token, head, element] = strides.slice(-3);
  return [shape.length === 4 ? strides[0] : shape[0] * token, head, token, element];
}
