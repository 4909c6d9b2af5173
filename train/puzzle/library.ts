/**
 * The block library: what may replace each block's parts, trained, on disk.
 *
 * @module
 */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type BlockSpec,
  type CheckpointEntry,
  CheckpointError,
  type DecoderSpec,
  type State,
} from "../../nn/mod.ts";
import { openState, writeState } from "../../nn/state.ts";
import { writeAtomically } from "../../tensor/safetensors.ts";
import type { KvInitialisation } from "./init_attention.ts";
import {
  type BlockChoice,
  type BlockVariants,
  blockVariants,
  choiceName,
  choicesOf,
  chosenBlock,
  type VariantOptions,
} from "./variants.ts";

/** What is trained on its own: a variant of one part, or a choice for both. */
export interface LibraryEntry {
  /** Its block's place. */
  readonly layer: number;
  /** What it stands for. */
  readonly kind: "attention" | "ffn" | "block";
  /** The variant's name, or the choice's. */
  readonly name: string;
  /** What it has; the part that it does not stand for is null. */
  readonly block: BlockSpec;
}

/** How a library is made. */
export interface LibraryOptions {
  /** What may replace what. */
  readonly variants?: VariantOptions;
  /**
   * `parts`, the default, trains variants of attention beside the parent's feed-forward part and the other way round:
   * m + n of them for each block (decoupled). `blocks` trains every pair: m · n.
   */
  readonly train?: "parts" | "blocks";
  /** How fewer KV heads start; `average` by default. */
  readonly kvInitialisation?: KvInitialisation;
}

/** What is known of an entry once it is trained. */
export interface EntryFigures {
  /** Held-out normalised error of the block's output, before training. */
  readonly initialError: number;
  /** After it. */
  readonly error: number;
}

/** Entries that have weights of their own: all but the parent's, and removals. */
export function libraryEntries(
  spec: DecoderSpec,
  variants: readonly BlockVariants[],
  train: "parts" | "blocks",
): LibraryEntry[] {
  return variants.flatMap((own, layer): LibraryEntry[] => {
    if (train === "blocks") {
      return choicesOf(own).slice(1).map((choice) => ({
        layer,
        kind: "block" as const,
        name: choiceName(choice),
        block: chosenBlock(own, choice),
      })).filter(({ block }) => block.attention !== null || block.ffn !== null);
    }
    const parts: LibraryEntry[] = [
      ...own.attention.slice(1).map(({ name, part }) => ({
        layer,
        kind: "attention" as const,
        name,
        block: { attention: part, ffn: null },
      })),
      ...own.ffn.slice(1).map(({ name, part }) => ({
        layer,
        kind: "ffn" as const,
        name,
        block: { attention: null, ffn: part },
      })),
    ];
    return parts.filter(({ block }) => block.attention !== null || block.ffn !== null);
  }).filter(({ layer }) => layer < spec.blocks.length);
}

/** What an entry's tensors are called in its layer's file. */
export function entryPrefix({ kind, name }: Pick<LibraryEntry, "kind" | "name">): string {
  return `${kind}/${name}/`;
}

/** `library.json`. */
interface LibraryFile {
  readonly format: "denotron block library 1";
  readonly spec: DecoderSpec;
  readonly options: LibraryOptions;
  /** By layer, for those that are done: figures by entry prefix. */
  readonly layers: Readonly<Record<string, Readonly<Record<string, EntryFigures>>>>;
}

const indexFile = "library.json";
const layerFile = (layer: number): string => `layer-${String(layer).padStart(3, "0")}.safetensors`;

/**
 * A folder with `library.json` and one safetensors file for each block of the parent, which is written when all of its
 * variants are trained. Weights are read when they are asked for.
 */
export class BlockLibrary {
  readonly #folder: string;
  #file: LibraryFile;
  /** The variants of each block's parts. */
  readonly variants: readonly BlockVariants[];

  private constructor(folder: string, file: LibraryFile) {
    [this.#folder, this.#file] = [folder, file];
    this.variants = blockVariants(file.spec, file.options.variants);
  }

  /** The library in a folder, or an empty one for `spec`. Throws CheckpointError when the one there is another's. */
  static open(folder: string, spec: DecoderSpec, options: LibraryOptions): BlockLibrary {
    const fresh: LibraryFile = { format: "denotron block library 1", spec, options, layers: {} };
    const existing = readIndex(join(folder, indexFile));
    if (existing === null) {
      mkdirSync(folder, { recursive: true });
      const library = new BlockLibrary(folder, fresh);
      library.#writeIndex();
      return library;
    }
    const facts = ({ format, spec, options }: LibraryFile): string =>
      JSON.stringify([format, spec, options]);
    if (facts(existing) === facts(fresh)) return new BlockLibrary(folder, existing);
    throw new CheckpointError(
      `puzzle: ${folder} holds a library of another model or with other variants. Choose another folder.`,
    );
  }

  /** The parent's architecture. */
  get spec(): DecoderSpec {
    return this.#file.spec;
  }

  /** How it is made, defaults filled in. */
  get options(): Required<LibraryOptions> {
    return { variants: {}, train: "parts", kvInitialisation: "average", ...this.#file.options };
  }

  /** Every entry that has weights of its own. */
  get entries(): LibraryEntry[] {
    return libraryEntries(this.spec, this.variants, this.options.train);
  }

  /** Whether the entries of a block are there. */
  has(layer: number): boolean {
    return this.#file.layers[layer] !== undefined;
  }

  /** What is known of an entry. */
  figures(entry: LibraryEntry): EntryFigures | undefined {
    return this.#file.layers[entry.layer]?.[entryPrefix(entry)];
  }

  /** Writes the trained entries of a block: tensors by `entryPrefix()` and name. */
  write(layer: number, state: State, figures: Readonly<Record<string, EntryFigures>>): void {
    writeState(join(this.#folder, layerFile(layer)), state);
    this.#file = { ...this.#file, layers: { ...this.#file.layers, [layer]: figures } };
    this.#writeIndex();
  }

  /** Forgets what was trained. */
  clear(): void {
    for (const layer of Object.keys(this.#file.layers)) {
      rmSync(join(this.#folder, layerFile(Number(layer))), { force: true });
    }
    this.#file = { ...this.#file, layers: {} };
    this.#writeIndex();
  }

  /**
   * The weights of a choice for a block as entries of a checkpoint, by names such as `attention.q.weight`. Those of parts
   * that stay the parent's are `parent`'s.
   */
  weights(layer: number, choice: BlockChoice, parent: State): Map<string, CheckpointEntry> {
    const { train } = this.options, name = choiceName(choice);
    const isParent = choice.attention === "parent" && choice.ffn === "parent";
    const parts = (["attention", "ffn"] as const).flatMap((kind) => {
      if (isParent || (train === "parts" && choice[kind] === "parent")) {
        return [...withPrefix(parent, `blocks.${layer}.${kind}.`, `${kind}.`)];
      }
      const from = train === "parts"
        ? entryPrefix({ kind, name: choice[kind] })
        : entryPrefix({ kind: "block", name });
      return [...withPrefix(this.#layer(layer), `${from}${kind}.`, `${kind}.`)];
    });
    return new Map(parts);
  }

  /** The weights of an entry, by names such as `attention.q.weight`. */
  entryWeights(entry: LibraryEntry): State {
    return withPrefix(this.#layer(entry.layer), entryPrefix(entry), "");
  }

  #layer(layer: number): State {
    const path = join(this.#folder, layerFile(layer));
    using file = openState(path);
    // The file is opened again for each tensor, so that a library holds no files open.
    return new Map(
      file.state.entries().map(([name, { dtype, shape }]) => [name, {
        dtype,
        shape,
        read: () => {
          using again = openState(path);
          return again.state.get(name)!.read();
        },
      }]),
    );
  }

  #writeIndex(): void {
    const bytes = new TextEncoder().encode(JSON.stringify(this.#file, null, 2) + "\n");
    writeAtomically(join(this.#folder, indexFile), (write) => write(bytes));
  }
}

function withPrefix(state: State, from: string, to: string): Map<string, CheckpointEntry> {
  const own = state.entries().filter(([name]) => name.startsWith(from));
  return new Map(own.map(([name, entry]) => [to + name.slice(from.length), entry]));
}

function readIndex(path: string): LibraryFile | null {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  return JSON.parse(text) as LibraryFile;
}
