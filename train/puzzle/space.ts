/**
 * What a search chooses from: for each block its choices, what they lose and what they cost.
 *
 * @module
 */

/** Seconds of one step of a whole batch. */
export interface BatchTime {
  /** To read every sequence's prompt. */
  readonly prefill: number;
  /** To add one token to every sequence. */
  readonly decode: number;
}

/** What a part of a model costs. Costs of parts add up. */
export interface Cost {
  /** Numbers in its weights. */
  readonly parameters: number;
  /** Bytes of its weights. */
  readonly weightBytes: number;
  /** Bytes that the KV cache holds for one token. */
  readonly kvBytesPerToken: number;
  /** Layers with attention. */
  readonly attention: number;
  /** By batch size. */
  readonly times: ReadonlyMap<number, BatchTime>;
}

/** One choice for one block. */
export interface SearchOption {
  /** Such as `kv2 + 50%`. */
  readonly name: string;
  /** What is lost by this choice alone; 0 for the parent's block. Less is better. */
  readonly score: number;
  /** What it costs. */
  readonly cost: Cost;
}

/** How a model will be used. */
export interface Scenario {
  /** Tokens of each prompt. */
  readonly promptTokens: number;
  /** Tokens generated for each. */
  readonly newTokens: number;
  /** Sequences at once; the search may choose among several. */
  readonly batchSizes: readonly number[];
}

/** Everything that a search needs to know. */
export interface SearchSpace {
  /** The choices for each block; the first is the parent's. */
  readonly layers: readonly (readonly SearchOption[])[];
  /** What the embedding, the last norm and the head cost. */
  readonly base: Cost;
  /** How the model will be used. */
  readonly scenario: Scenario;
}

/** An architecture: for each block, the index of its choice. */
export type Architecture = readonly number[];

/** What a whole model costs. */
export function totalCost({ layers, base }: SearchSpace, architecture: Architecture): Cost {
  return addCosts([base, ...architecture.map((j, i) => layers[i][j].cost)]);
}

/** The sum of what parts cost. Throws RangeError when they were not timed for the same batch sizes. */
export function addCosts(costs: readonly Cost[]): Cost {
  const sum = (value: (cost: Cost) => number): number => costs.reduce((a, c) => a + value(c), 0);
  const time = (cost: Cost, batch: number): BatchTime => {
    const found = cost.times.get(batch);
    if (found) return found;
    throw new RangeError(`puzzle: nothing was timed for batches of ${batch}. Measure costs again.`);
  };
  const times = costs[0].times.keys().map((batch): [number, BatchTime] => [batch, {
    prefill: sum((cost) => time(cost, batch).prefill),
    decode: sum((cost) => time(cost, batch).decode),
  }]);
  return {
    parameters: sum((cost) => cost.parameters),
    weightBytes: sum((cost) => cost.weightBytes),
    kvBytesPerToken: sum((cost) => cost.kvBytesPerToken),
    attention: sum((cost) => cost.attention),
    times: new Map(times),
  };
}

/** The predicted loss of an architecture: scores add up. */
export function totalScore({ layers }: SearchSpace, architecture: Architecture): number {
  return architecture.reduce((sum, j, i) => sum + layers[i][j].score, 0);
}

/** The architecture that changes nothing. */
export function parentArchitecture({ layers }: SearchSpace): number[] {
  return layers.map(() => 0);
}
