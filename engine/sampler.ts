/**
 * Drawing the next token of each sequence from its logits.
 *
 * @module
 */
import { call, noGrad, RandomKey, scope, Tensor } from "../tensor/mod.ts";
import { sample } from "../tensor/ops/mod.ts";
import { sampleControls } from "../tensor/ops/sample.ts";
import type { GenerationOptions, TokenLogProb } from "./request.ts";

/** A token that was drawn, or null where the logits are no numbers or nothing may be drawn. */
export interface Drawn extends TokenLogProb {
  /** The most likely tokens, as many as were asked for. */
  readonly top: readonly TokenLogProb[];
}

/** How one text is drawn: its options, its key, and the tokens that penalties count. */
export class TokenSampler {
  readonly #options: GenerationOptions;
  readonly #key: RandomKey;
  /** How often each token was generated; 0 for those that only the prompt has. */
  readonly #counts = new Map<number, number>();
  readonly #penalised: boolean;

  /** The sampler of a choice, which has a key of its own: `sample` + its number. */
  constructor(prompt: readonly number[], options: GenerationOptions, choice: number) {
    const { seed = 0, sample = 0, repetitionPenalty = 1 } = options;
    const { presencePenalty = 0, frequencyPenalty = 0 } = options;
    this.#options = options;
    // As nn's generate() derives it.
    this.#key = new RandomKey(seed).derive("generate").derive(sample + choice);
    this.#penalised = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
    if (repetitionPenalty !== 1) { for (const id of prompt) this.#counts.set(id, 0); }
  }

  /** How many of the most likely tokens are asked for. */
  get topCount(): number {
    return this.#options.topLogProbs ?? 0;
  }

  /** A token was generated. */
  push(id: number): void {
    if (this.#penalised) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
  }

  /** The row of the op's controls for the token at `position`. */
  controls(position: number): Record<typeof sampleControls[number], number> {
    const { temperature = 0, topK = 0, topP = 1, minP = 0, vocabularySize = 0 } = this.#options;
    const uniform = temperature === 0 ? 0 : this.#key.uniform(position);
    return { temperature, topK, topP, minP, uniform, limit: vocabularySize };
  }

  /** What the op does to logits first, as [id, factor, number added]; `generated` tokens are there so far. */
  edits(generated: number): [id: number, factor: number, added: number][] {
    const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = this.#options;
    const { logitBias, minTokens = 0, stop = [] } = this.#options;
    const added = new Map<number, number>(logitBias ?? []);
    if (generated < minTokens) { for (const id of stop) added.set(id, -Infinity); }
    const edits: [number, number, number][] = [];
    for (const [id, count] of this.#counts) {
      const penalty = count > 0 ? presencePenalty + count * frequencyPenalty : 0;
      edits.push([id, repetitionPenalty, (added.get(id) ?? 0) - penalty]);
      added.delete(id);
    }
    for (const [id, number] of added) edits.push([id, 1, number]);
    return edits;
  }
}

/** A row of logits to draw from. */
export interface DrawRow {
  readonly sampler: TokenSampler;
  /** The row. Several samplers may share one. */
  readonly row: number;
  /** Tokens before the one that is drawn. */
  readonly position: number;
  /** Those of them that were generated. */
  readonly generated: number;
}

/** A token for each of `rows`, from logits f32 [.., vocab]. */
export function drawTokens(logits: Tensor, rows: readonly DrawRow[]): (Drawn | null)[] {
  const { ids, logProbs, tops } = noGrad(() => scope(() => draw(logits, rows)));
  return rows.map((_, i) =>
    ids[i] < 0 ? null : { id: ids[i], logProb: logProbs[i], top: tops?.get(i) ?? [] }
  );
}

/** What came of all rows; null for the most likely tokens where nobody asks for them. */
interface DrawnRows {
  readonly ids: ArrayLike<number>;
  readonly logProbs: ArrayLike<number>;
  readonly tops: ReadonlyMap<number, TokenLogProb[]> | null;
}

function draw(logits: Tensor, rows: readonly DrawRow[]): DrawnRows {
  const shared = rows.some(({ row }, i) => row !== i) || rows.length !== logits.shape[0];
  const own = shared ? rowsOf(logits, rows.map(({ row }) => row)) : logits;
  const controls = new Float64Array(rows.length * sampleControls.length);
  rows.forEach(({ sampler, position }, i) => {
    const named = sampler.controls(position), first = i * sampleControls.length;
    sampleControls.forEach((name, j) => controls[first + j] = named[name]);
  });
  const edits = rows.map(({ sampler, generated }) => sampler.edits(generated));
  let end = 0;
  const offsets = [0, ...edits.map(({ length }) => end += length)];
  const edited = edits.flat();
  const [ids, logProbs, totals] = call(sample, [
    own,
    Tensor.from(controls, [rows.length, sampleControls.length], { dtype: "f64" }),
    integers(offsets),
    integers(edited.map(([id]) => id)),
    Tensor.from(edited.flatMap(([, ...edit]) => edit), [edited.length, 2]),
  ], undefined).map((x) => x.data());
  return { ids, logProbs, tops: topTokens(own, totals, rows) };
}

/** The most likely tokens of those rows that ask for any. */
function topTokens(
  logits: Tensor,
  totals: ArrayLike<number>,
  rows: readonly DrawRow[],
): Map<number, TokenLogProb[]> | null {
  const asking = rows.flatMap(({ sampler }, i) => sampler.topCount > 0 ? [i] : []);
  if (asking.length === 0) return null;
  const most = Math.max(...asking.map((i) => rows[i].sampler.topCount));
  const count = Math.min(most, logits.shape[1]);
  const [values, ids] = rowsOf(logits, asking).topK(count).map((x) => x.data());
  return new Map(asking.map((i, row) => {
    const length = Math.min(count, rows[i].sampler.topCount);
    const top = Array.from({ length }, (_, rank) => {
      const at = row * count + rank;
      return { id: ids[at], logProb: Math.fround(values[at] - totals[i]) };
    });
    return [i, top];
  }));
}

function rowsOf(x: Tensor, rows: readonly number[]): Tensor {
  return integers(rows).embedding(x);
}

function integers(values: readonly number[]): Tensor {
  return Tensor.from(values, [values.length], { dtype: "i32" });
}
