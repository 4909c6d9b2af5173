/**
 * What is lost when one block is replaced.
 *
 * @module
 */
import type { Decoder } from "../../nn/mod.ts";
import { noGrad, scope, type Tensor } from "../../tensor/mod.ts";
import type { TokenBatch } from "../stage.ts";
import { heldOutFigures } from "../token_loss.ts";
import { type Activations, parentActivations } from "./activations.ts";
import { type Distance, DistanceMean } from "../compare.ts";
import type { BlockLibrary, LibraryEntry } from "./library.ts";
import { VariantModules } from "./variant_modules.ts";
import { type BlockChoice, choiceName, choicesOf } from "./variants.ts";

/** What a score may be. */
export type ScoreName = keyof Distance;

/**
 * The parent with one block replaced, against the parent on held-out text, for every choice of one layer in the order of
 * `choicesOf()`; the parent's own choice is all 0. `loss` is how much more it is than the parent's. Up to the block all
 * activations are the parent's, so the computation starts there; choices with the same attention share it.
 *
 * Source: Bercovich et al., "Puzzle", 2024, section 3.2.
 */
export function scoreLayer(
  parent: Decoder,
  library: BlockLibrary,
  layer: number,
  batches: readonly TokenBatch[],
): Distance[] {
  const choices = choicesOf(library.variants[layer]);
  const entries = library.entries.filter((entry) => entry.layer === layer);
  using variants = new VariantModules(
    library.spec,
    entries,
    (entry) => library.entryWeights(entry),
    { dtype: parent.dtype, context: parent.context, train: false },
  );
  const blocks = new LayerBlocks(parent, variants, layer);
  const means = choices.map(() => new DistanceMean());
  for (const batch of batches) {
    noGrad(() =>
      scope(() => {
        const activations = parentActivations(parent, batch), weight = parent.headWeight;
        const own = { hidden: parent.norm.forward(activations.inputs.at(-1)!), weight };
        const middles = new Map<string, Tensor>();
        choices.forEach((choice, i) =>
          scope(() => {
            const output = blocks.forward(choice, activations, middles);
            const hidden = finish(parent, layer + 1, output, activations);
            means[i].add(own, { hidden, weight }, batch);
          })
        );
        for (const middle of middles.values()) middle[Symbol.dispose]();
      })
    );
  }
  const { loss: parentLoss } = heldOutFigures(parent, batches);
  return means.map(({ value: { kl, loss, cosine } }, i) =>
    i === 0 ? { kl: 0, loss: 0, cosine: 0 } : { kl, loss: loss - parentLoss, cosine }
  );
}

/** Runs the choices of one layer. */
class LayerBlocks {
  constructor(
    readonly parent: Decoder,
    readonly variants: VariantModules,
    readonly layer: number,
  ) {}

  /** What the block gives with this choice; `middles` keeps what attention gives for the choices after it. */
  forward(choice: BlockChoice, activations: Activations, middles: Map<string, Tensor>): Tensor {
    const { inputs, place } = activations, x = inputs[this.layer];
    const whole = this.#find("block", choiceName(choice));
    if (whole !== null) return this.variants.blocks[whole].forward(x, place);
    const middle = this.#attention(choice.attention, activations, middles);
    const ffn = this.#find("ffn", choice.ffn);
    if (ffn !== null) return this.variants.blocks[ffn].forward(middle, place);
    const own = choice.ffn === "parent" ? this.parent.blocks[this.layer].ffn : null;
    return own ? middle.add(own.forward(middle)) : middle;
  }

  #attention(name: string, activations: Activations, middles: Map<string, Tensor>): Tensor {
    const { inputs, middles: own, place } = activations;
    if (name === "parent") return own[this.layer];
    const entry = this.#find("attention", name);
    if (entry === null) return inputs[this.layer];
    const known = middles.get(name);
    if (known) return known;
    const middle = this.variants.blocks[entry].forward(inputs[this.layer], place).keep();
    middles.set(name, middle);
    return middle;
  }

  #find(kind: LibraryEntry["kind"], name: string): number | null {
    const at = this.variants.entries.findIndex((entry) =>
      entry.kind === kind && entry.name === name
    );
    return at < 0 ? null : at;
  }
}

/** The parent's blocks from `first` on, and its last norm. */
function finish(parent: Decoder, first: number, x: Tensor, { place }: Activations): Tensor {
  for (const block of parent.blocks.slice(first)) x = block.forward(x, place);
  return parent.norm.forward(x);
}
