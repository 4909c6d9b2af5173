/**
 * One optimizer step: from micro-batches to new weights.
 *
 * @module
 */
import { Dropout, setDropoutStep } from "../nn/mod.ts";
import { Replays, scope, type Tensor } from "../tensor/mod.ts";
import type { StepGuard } from "./guard.ts";
import type { AdamW } from "./optimizer.ts";
import type { Stage } from "./stage.ts";

/** What the host decides about a step. */
export interface StepOptions {
  /** Learning rate. */
  readonly lr: number;
  /** The gradient is scaled down to this norm. */
  readonly maxGradNorm: number;
  /** The number of the first micro-batch's dropout. */
  readonly firstDraw: number;
}

/** What a step's micro-batches amounted to. */
export interface StepFigures {
  /** The mean over all trained tokens; not finite when it is not in some micro-batch. */
  readonly loss: number;
  /** The norm of the gradients, before they were clipped. */
  readonly gradNorm: number;
  /** Whether the weights are new: not for a loss or norm that is not finite, or a loss above the guard's. */
  readonly applied: boolean;
  /** Trained tokens. */
  readonly weight: number;
  /** Computed tokens. */
  readonly tokens: number;
  /** What the stage told, averaged by weight. */
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * Steps that compute for less than about 20 ms on the fastest GPU, which the host cannot keep busy otherwise: 6 operations
 * for each parameter and token.
 */
const mostReplayedOperations = 1e13;

/**
 * Makes the steps of a stage: adds up the gradients of micro-batches, clips them, and updates the weights. Each token
 * counts for the same, whatever micro-batch it is in: losses are sums, divided by the trained tokens of the whole step.
 *
 * Nothing waits for the device before all of a step is under way, unless the stage reads numbers. Small steps of stages
 * whose loss is `replayable` are captured as CUDA graphs on a GPU, and repeated, with the same bits.
 */
export class Stepper<B> implements Disposable {
  readonly #stage: Stage<B>;
  readonly #optimizer: AdamW;
  readonly #guard: StepGuard;
  readonly #replays: Replays<readonly []>;

  /** Steps of `optimizer`, which are left out as `guard` says. */
  constructor(stage: Stage<B>, optimizer: AdamW, guard: StepGuard, graphs = true) {
    [this.#stage, this.#optimizer, this.#guard] = [stage, optimizer, guard];
    this.#replays = new Replays({ graphs, most: 16 });
  }

  /** How many steps a graph made. */
  get replayed(): number {
    return this.#replays.replayed;
  }

  /** Makes a step, and waits for it. Micro-batches without a trained token are not computed. */
  step(batches: readonly B[], { lr, maxGradNorm, firstDraw }: StepOptions): StepFigures {
    const stage = this.#stage, weights = batches.map((batch) => stage.weight(batch));
    const tokens = sum(batches.map((batch, i) => stage.tokens?.(batch) ?? weights[i]));
    const total = sum(weights), work: Work<B> = { total, tokens, maxGradNorm, parts: [] };
    batches.forEach((batch, i) => {
      const part = { batch, share: weights[i] / total, draw: firstDraw + i };
      if (weights[i] > 0) work.parts.push(part);
    });
    if (work.parts.length === 0) {
      return { loss: 0, gradNorm: 0, applied: false, weight: total, tokens, metrics: {} };
    }
    const largestNorm = stage.clip ? Infinity : maxGradNorm; // what the stage clips has its length
    this.#optimizer.prepare({ lr, largestNorm, largestLoss: this.#guard.largestLoss });
    const metrics = this.#canReplay(work) ? this.#replay(work) : this.#run(work);
    const { loss, gradNorm, applied } = this.#optimizer.outcome();
    return { loss, gradNorm, applied, weight: total, tokens, metrics };
  }

  /** The stage's own loss, which may read numbers and tell some. */
  #run({ parts, total, maxGradNorm }: Work<B>): Record<string, number> {
    const stage = this.#stage, told: Record<string, number> = {};
    this.#learn(parts.length, maxGradNorm, (i) => {
      const { batch, share, draw } = parts[i];
      setDropoutStep(stage.model, draw);
      const { loss, metrics = {} } = stage.loss(batch, total);
      for (const [name, mean] of Object.entries(metrics)) {
        told[name] = (told[name] ?? 0) + mean * share;
      }
      return loss;
    });
    return told;
  }

  #canReplay({ tokens }: Work<B>): boolean {
    const { model, loss: { replayable }, clip } = this.#stage, { arenas } = this.#optimizer;
    if (!replayable || clip || arenas[0].master.device !== "cuda") return false;
    const size = sum(arenas.map(({ master }) => master.size));
    if (6 * size * tokens > mostReplayedOperations) return false;
    // What dropout drops is another number in each step, which a graph would repeat.
    return ![...model.modules().values()].some((part) => part instanceof Dropout && part.p > 0);
  }

  #replay({ parts, total, maxGradNorm }: Work<B>): Record<string, number> {
    const { key, tensors, of } = this.#stage.loss.replayable!;
    scope(() => {
      const inputs = parts.map(({ batch }) => tensors(batch, total)), width = inputs[0].length;
      const keys = parts.map(({ batch }) => key(batch)).join("; ");
      this.#replays.run(keys, inputs.flat(), (...all) => {
        this.#learn(
          parts.length,
          maxGradNorm,
          (i) => of(all.slice(i * width, (i + 1) * width)),
        );
        return [];
      });
    });
    return {};
  }

  /** Gradients of `count` losses, and new weights. */
  #learn(count: number, maxGradNorm: number, lossOf: (i: number) => Tensor): void {
    this.#optimizer.zeroGrad();
    scope(() => {
      const losses = this.#optimizer.arenas[0].gradient.newZeros([count]);
      for (let i = 0; i < count; i++) {
        scope(() => {
          const loss = lossOf(i);
          losses.slice(0, i, i + 1).assign(loss.detach());
          // A loss that is not finite is found later, whether it has a gradient or not.
          const isWanted = loss.requiresGrad || Number.isFinite(loss.item());
          if (isWanted) loss.backward(undefined, { check: false });
        });
      }
      this.#optimizer.apply(losses, this.#stage.clip?.(maxGradNorm));
    });
  }

  /** Gives the memory of graphs back. */
  [Symbol.dispose](): void {
    this.#replays[Symbol.dispose]();
  }
}

/** What is to be computed in a step. */
interface Work<B> {
  /** Trained tokens. */
  readonly total: number;
  /** Computed tokens. */
  readonly tokens: number;
  readonly maxGradNorm: number;
  /** Micro-batches, the share of the trained tokens that each has, and the number of its dropout. */
  readonly parts: { readonly batch: B; readonly share: number; readonly draw: number }[];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
