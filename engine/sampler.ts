/**
 * Drawing the next token of each sequence from its logits.
 *
 * @module
 */
import { call, noGrad, RandomKey, scope, Tensor } from "../tensor/mod.ts";
import { sample } from "../tensor/ops/mod.ts";
import { sampleControls } from "../tensor/ops/sample.ts";
import type { Logits } from "./model.ts";
import type { GenerationOptions, TokenLogProb } from "./request.ts";

/** A token that was drawn. */
export interface Drawn {
  /** The token. */
  readonly id: number;
  /** The logarithm of its probability, where it is asked for. */
  readonly logProb: number | null;
  /** The most likely tokens, as many as were asked for. */
  readonly top: readonly TokenLogProb[];
}

/** What the op does to a logit first: its id, a factor, and a number that is added. */
type Edit = readonly [id: number, factor: number, added: number];

const width = sampleControls.length;
const temperatureAt = sampleControls.indexOf("temperature");
const uniformAt = sampleControls.indexOf("uniform"), editsAt = sampleControls.indexOf("edits");
const noEdits: readonly Edit[] = [], noTokens: readonly TokenLogProb[] = [];

/** How one text is drawn: its options, its key, and the tokens that penalties count. */
export class TokenSampler {
  readonly #options: GenerationOptions;
  readonly #key: RandomKey;
  /** The row of the op's controls, without its random number. */
  readonly #controls: readonly number[];
  /** How often each token was generated; 0 for those that only the prompt has. */
  readonly #counts = new Map<number, number>();
  readonly #penalised: boolean;
  /** Whether the op ever changes logits first. */
  readonly #edits: boolean;
  /** How many of the most likely tokens are asked for. */
  readonly topCount: number;
  /** Whether the log-probability of the token is asked for. */
  readonly tells: boolean;

  /** The sampler of a choice, which has a key of its own: `sample` + its number. */
  constructor(prompt: readonly number[], options: GenerationOptions, choice: number) {
    const { seed = 0, sample = 0, repetitionPenalty = 1 } = options;
    const { presencePenalty = 0, frequencyPenalty = 0, minTokens = 0, logitBias } = options;
    const { topLogProbs = 0, logProbs = false } = options;
    [this.#options, this.topCount, this.tells] = [
      options,
      topLogProbs,
      logProbs || topLogProbs > 0,
    ];
    // As nn's generate() derives it.
    this.#key = new RandomKey(seed).derive("generate").derive(sample + choice);
    const { temperature = 0, topK = 0, topP = 1, minP = 0, vocabularySize = 0 } = options;
    const controls = {
      temperature,
      topK,
      topP,
      minP,
      uniform: 0,
      limit: vocabularySize,
      edits: 0,
      tells: Number(this.tells),
    };
    this.#controls = sampleControls.map((name) => controls[name]);
    this.#penalised = repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
    this.#edits = this.#penalised || minTokens > 0 || (logitBias?.size ?? 0) > 0;
    if (repetitionPenalty !== 1) { for (const id of prompt) this.#counts.set(id, 0); }
  }

  /** A token was generated. */
  push(id: number): void {
    if (this.#penalised) this.#counts.set(id, (this.#counts.get(id) ?? 0) + 1);
  }

  /** Writes the row of the op's controls for the token at `position` to `controls`, from `first` on. */
  control(controls: Float64Array, first: number, position: number): void {
    for (let i = 0; i < width; i++) controls[first + i] = this.#controls[i];
    if (this.#controls[temperatureAt] > 0) {
      controls[first + uniformAt] = this.#key.uniform(position);
    }
  }

  /** What the op does to logits first; `generated` tokens are there so far. */
  edits(generated: number): readonly Edit[] {
    if (!this.#edits) return noEdits;
    const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0 } = this.#options;
    const { logitBias, minTokens = 0, stop = [] } = this.#options;
    const added = new Map<number, number>(logitBias ?? []);
    if (generated < minTokens) { for (const id of stop) added.set(id, -Infinity); }
    const edits: Edit[] = [];
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

/** A token for each of `rows`; null where they are no numbers or nothing may be drawn. */
export function drawTokens(logits: Logits, rows: readonly DrawRow[]): (Drawn | null)[] {
  const { ids, logProbs, tops } = noGrad(() => scope(() => draw(logits, rows)));
  return rows.map(({ sampler }, i) =>
    ids[i] < 0 ? null : {
      id: ids[i],
      logProb: sampler.tells ? logProbs[i] : null,
      top: tops?.get(i) ?? noTokens,
    }
  );
}

/** What came of all rows; null for the most likely tokens where nobody asks for them. */
interface DrawnRows {
  readonly ids: ArrayLike<number>;
  readonly logProbs: ArrayLike<number>;
  readonly tops: ReadonlyMap<number, TokenLogProb[]> | null;
}

function draw(logits: Logits, rows: readonly DrawRow[]): DrawnRows {
  const shared = rows.some(({ row }, i) => row !== i) || rows.length !== logits[0].shape[0];
  const [own, maxima] = shared ? logits.map((x) => rowsOf(x, rows.map(({ row }) => row))) : logits;
  const controls = new Float64Array(rows.length * width), edits: number[] = [];
  rows.forEach(({ sampler, position, generated }, i) => {
    sampler.control(controls, i * width, position);
    for (const edit of sampler.edits(generated)) edits.push(...edit);
    controls[i * width + editsAt] = edits.length / 3;
  });
  const [ids, logProbs, totals] = call(sample, [
    own,
    Tensor.from(controls, [rows.length, width], { dtype: "f64" }),
    Tensor.from(edits, [edits.length / 3, 3], { dtype: "f64" }),
    maxima,
  ], undefined);
  return { ids: ids.data(), logProbs: logProbs.data(), tops: topTokens(own, totals, rows) };
}

/** The most likely tokens of those rows that ask for any. */
function topTokens(
  logits: Tensor,
  logTotals: Tensor,
  rows: readonly DrawRow[],
): Map<number, TokenLogProb[]> | null {
  if (!rows.some(({ sampler }) => sampler.topCount > 0)) return null;
  const asking = rows.flatMap(({ sampler }, i) => sampler.topCount > 0 ? [i] : []);
  const most = Math.max(...asking.map((i) => rows[i].sampler.topCount));
  const count = Math.min(most, logits.shape[1]);
  const [values, ids] = rowsOf(logits, asking).topK(count).map((x) => x.data());
  const totals = logTotals.data();
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
  return Tensor.from(rows, [rows.length], { dtype: "i32" }).embedding(x);
}
