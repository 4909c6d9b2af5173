/**
 * Library entries that can run, and learn.
 *
 * @module
 */
import {
  type Block,
  blockParameters,
  type DecoderSpec,
  makeBlock,
  Module,
  ParameterArena,
  Rope,
  type State,
} from "../../nn/mod.ts";
import { checkState, copyEntry, entryOf } from "../../nn/state.ts";
import { Tensor } from "../../tensor/mod.ts";
import type { LibraryEntry } from "./library.ts";

/** How entries compute. */
export interface VariantModulesOptions {
  /** What they compute in: what the parent does. */
  readonly dtype: "f32" | "bf16";
  /** The longest sequence, in tokens. */
  readonly context: number;
  /** Whether they have gradients. */
  readonly train: boolean;
}

/**
 * A block for each entry. Each has an arena of its own when it learns, so that nothing it does depends on what else is
 * there.
 */
export class VariantModules extends Module {
  /** By entry. */
  readonly blocks: readonly Block[];
  /** What learns, by entry; empty without `train`. */
  readonly entryArenas: ReadonlyMap<LibraryEntry, ParameterArena>;
  readonly #rope: Rope;

  /** Blocks with the weights that `initial` gives, by names such as `attention.q.weight`. */
  constructor(
    spec: DecoderSpec,
    readonly entries: readonly LibraryEntry[],
    initial: (entry: LibraryEntry) => State,
    { dtype, context, train }: VariantModulesOptions,
  ) {
    super();
    const { theta, fraction, scaling } = spec.rope, { headDim } = spec;
    const rope = new Rope({ theta, fraction, scaling, headDim, positions: context });
    const arenas = new Map<LibraryEntry, ParameterArena>();
    this.blocks = entries.map((entry) => {
      const slots = blockParameters(spec, entry.block, "entry");
      const arena = train ? new ParameterArena(slots, dtype) : null;
      if (arena) {
        this.own(arena);
        arenas.set(entry, arena);
      }
      const weights = arena?.parameters ??
        new Map(slots.map(({ name, shape }) => [name, Tensor.empty(shape, { dtype }).keep()]));
      const block = makeBlock(spec, entry.block, weights, rope, "entry");
      fill(mastersOf(block, arena), initial(entry));
      arena?.refresh();
      return block;
    });
    [this.entryArenas, this.#rope] = [arenas, rope];
  }

  /** The weights of an entry as entries of a checkpoint, by names such as `attention.q.weight`. */
  entryState(index: number): State {
    const arena = this.entryArenas.get(this.entries[index]) ?? null;
    const masters = mastersOf(this.blocks[index], arena);
    return new Map(masters.entries().map(([name, master]) => [name, entryOf(master)]));
  }

  /** Gives the memory back. Safe to call twice. */
  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.#rope[Symbol.dispose]();
  }
}

function mastersOf(block: Block, arena: ParameterArena | null): Map<string, Tensor> {
  const leaves = block.namedParameters().entries();
  return new Map(leaves.map(([name, leaf]) => [name, arena?.masterOf(leaf) ?? leaf]));
}

function fill(masters: ReadonlyMap<string, Tensor>, state: State): void {
  checkState(state, masters, true);
  for (const [name, master] of masters) copyEntry(state.get(name)!, master);
}
