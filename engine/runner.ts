/**
 * One forward pass for the work of one step.
 *
 * @module
 */
import { Replays, Tensor } from "../tensor/mod.ts";
import type { KvBlocks } from "./kv_blocks.ts";
import type { GenerationModel, Logits, PackedTokens } from "./model.ts";
import type { Work } from "./scheduler.ts";

/** Computes steps. Those that decode, one token for each sequence, are captured as graphs and replayed. */
export class Runner implements Disposable {
  readonly #model: GenerationModel;
  readonly #memory: KvBlocks;
  readonly #replays: Replays<Logits>;

  /** Computes with a model, and keeps keys and values in a memory; neither is this one's to dispose of. */
  constructor(model: GenerationModel, memory: KvBlocks, graphs: boolean) {
    [this.#model, this.#memory] = [model, memory];
    this.#replays = new Replays({ most: 32, graphs });
  }

  /** How many steps a graph did. */
  get replayed(): number {
    return this.#replays.replayed;
  }

  /** The logits after the last tokens of sequences of which nothing is left to compute. In a scope. */
  logits(work: readonly Work[]): Logits {
    const { integers, key, unpack } = packTokens(work, this.#memory.blockTokens);
    const compute = (integers: Tensor) => this.#model.logits(unpack(integers), this.#memory);
    if (key === null) return compute(integers);
    return this.#replays.run(key, [integers], compute);
  }

  /** Forgets what was captured: the model is about to change. */
  clear(): void {
    this.#replays.clear();
  }

  /** Gives the memory of graphs back. */
  [Symbol.dispose](): void {
    this.#replays[Symbol.dispose]();
  }
}

/** The tokens of one step as one tensor of integers, which is one upload. */
interface PackedWork {
  /** i32, all parts one after the other. */
  readonly integers: Tensor;
  /** Steps with equal keys compute with tensors of equal shapes; null for steps that are not likely to come again. */
  readonly key: string | null;
  /** The parts of `integers`, or of a tensor like it. */
  unpack(integers: Tensor): PackedTokens;
}

/**
 * The pending tokens of all sequences, packed one sequence after the other. Wanted are the last tokens of those that have
 * nothing more pending, in order.
 */
function packTokens(work: readonly Work[], blockTokens: number): PackedWork {
  const tokens = work.reduce((sum, { count }) => sum + count, 0);
  const finished = work.filter(({ sequence, count }) => count === sequence.pending).length;
  const blocks = tableWidth(work), sequences = work.length;
  const sizes = [tokens, tokens, tokens, finished, sequences + 1, sequences, sequences * blocks];
  const packed = new Int32Array(sizes.reduce((sum, size) => sum + size, 0));
  let start = 0;
  const [ids, positions, places, wanted, queryOffsets, keyLengths, keyStarts] = sizes.map((size) =>
    packed.subarray(start, start += size)
  );
  let token = 0, row = 0;
  work.forEach(({ sequence, count }, s) => {
    const end = sequence.computed + count;
    for (let position = sequence.computed; position < end; position++, token++) {
      const block = sequence.blocks[Math.floor(position / blockTokens)];
      ids[token] = sequence.tokens[position];
      positions[token] = position;
      places[token] = block * blockTokens + position % blockTokens;
    }
    if (count === sequence.pending) wanted[row++] = token - 1;
    queryOffsets[s + 1] = token;
    keyLengths[s] = end;
    sequence.blocks.forEach((block, i) => keyStarts[s * blocks + i] = block);
  });
  const decodes = tokens === sequences && finished === sequences; // one token for each
  return {
    integers: Tensor.from(packed, [packed.length], { dtype: "i32" }),
    key: decodes ? `${sequences} sequences of up to ${blocks} blocks` : null,
    unpack: (integers) => unpack(integers, sizes, { sequences, blocks, blockTokens }),
  };
}

/** Blocks of the longest sequence, rounded up to a power of two, so that shapes seldom change while sequences grow. */
function tableWidth(work: readonly Work[]): number {
  const blocks = work.reduce((most, { sequence }) => Math.max(most, sequence.blocks.length), 1);
  return 2 ** Math.ceil(Math.log2(blocks));
}

function unpack(
  integers: Tensor,
  sizes: readonly number[],
  { sequences, blocks, blockTokens }: Readonly<Record<string, number>>,
): PackedTokens {
  const [ids, positions, places, wanted, queryOffsets, keyLengths, table] = integers.split(sizes);
  const keyStarts = table.reshape([sequences, blocks]);
  return {
    ids,
    positions,
    places,
    wanted: wanted.shape[0] === ids.shape[0] ? null : wanted,
    sequences: { queryOffsets, keyLengths, keyStarts, blockTokens },
  };
}
