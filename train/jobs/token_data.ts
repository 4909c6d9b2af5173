/**
 * From configured files to micro-batches.
 *
 * @module
 */
import type { Tokenizer } from "../../text/mod.ts";
import type { TokenConfig } from "../config/schema.ts";
import {
  type Cursor,
  type Dataset,
  openRows,
  packedBatches,
  type Row,
  type StreamOptions,
  streamRows,
  type TokenDataset,
  tokenizeRows,
  type TokenSequence,
} from "../data/mod.ts";
import { mixStreams } from "../data/mix.ts";
import type { BatchSource, TokenBatch } from "../stage.ts";
import { holdOut } from "./held_out.ts";

/** What a run learns from, and what it is evaluated on. */
export interface TokenData extends Disposable {
  /** Without end. */
  readonly batches: BatchSource<TokenBatch>;
  readonly heldOut: readonly TokenBatch[];
  /** Rows to learn from. */
  readonly rows: number;
  /** About how many tokens an epoch has; exact when there are few rows. */
  readonly epochTokens: number;
  /** A row that is held out, to show what the model makes of it. */
  readonly example: Row | null;
}

/** What reads the data. */
export interface Reader {
  readonly tokenizer: Tokenizer;
  /** Ids that the model has. */
  readonly vocabulary: number;
  /** Tokens that the model reads at once. */
  readonly context: number;
  /** Told what was found, and what is skipped. */
  readonly tell: (line: string) => void;
}

/** Sequences that are looked at to know how long an epoch is. */
const countedSequences = 2000;

/** Opens the files of a configuration. Throws DataError for files, and for rows among the first, that cannot be used. */
export async function openTokenData(config: TokenConfig, reader: Reader): Promise<TokenData> {
  using opened = new DisposableStack();
  const parts: DataPart[] = [];
  for (const { path, weight } of config.data) {
    const rows = opened.use(await openRows([path], { tell: reader.tell }));
    parts.push(await openPart(rows, weight, config, reader));
  }
  const { seed, batchTokens, microBatches } = config;
  const files = opened.move();
  return {
    batches: packedBatches({
      source: parts.length === 1 ? parts[0].source : mixStreams(parts, { seed, size: tokenCount }),
      context: reader.context,
      tokensPerBatch: batchTokens,
      microBatches,
      seed,
    }),
    heldOut: parts.flatMap(({ heldOut }) => heldOut),
    rows: sum(parts.map(({ rows }) => rows)),
    epochTokens: sum(parts.map(({ tokens }) => tokens)),
    example: parts.find(({ example }) => example !== null)?.example ?? null,
    [Symbol.dispose]: () => files.dispose(),
  };
}

/** One of the configured paths. */
interface DataPart {
  readonly source: Cursor<TokenSequence>;
  readonly weight: number;
  readonly heldOut: readonly TokenBatch[];
  readonly example: Row | null;
  readonly rows: number;
  /** Of an epoch. */
  readonly tokens: number;
}

async function openPart(
  all: Dataset<Row>,
  weight: number,
  config: TokenConfig,
  reader: Reader,
): Promise<DataPart> {
  const { seed, onBadRow, tooLong, batchTokens } = config, { context, tell } = reader;
  const held = Math.min(config.evalRows, Math.round(config.heldOut * all.count));
  const { train, heldOut } = holdOut(all, held, seed);
  if (heldOut.count === 0) {
    tell(`${all.name}: no row is held out of ${all.count}, nothing to evaluate on`);
  }
  const tokens = (part: Dataset<Row>) => tokenizeRows(part, { ...reader, tooLong });
  const once: StreamOptions = { seed, onBadRow, epochs: 1 };
  return {
    source: streamRows(tokens(train), { seed, onBadRow, warn: tell }),
    weight,
    heldOut: heldOut.count === 0 ? [] : await everyBatch(
      packedBatches({
        source: streamRows(tokens(heldOut), once),
        context,
        tokensPerBatch: batchTokens,
        seed,
      }),
    ),
    example: heldOut.count === 0 ? null : await streamRows(heldOut, once).next(),
    rows: train.count,
    tokens: await epochTokens(tokens(train), once, tell),
  };
}

/** All micro-batches of a source that ends. */
export async function everyBatch(source: BatchSource<TokenBatch>): Promise<TokenBatch[]> {
  const batches: TokenBatch[] = [];
  for (let step = 1;; step++) {
    const next = await source.next(step);
    if (next === null) return batches;
    batches.push(...next);
  }
}

/** The tokens of the first sequences, as many times as these are contained in an epoch. */
async function epochTokens(
  part: TokenDataset,
  once: StreamOptions,
  tell: Reader["tell"],
): Promise<number> {
  const stream = streamRows(part, once);
  let tokens = 0, count = 0;
  for (; count < countedSequences; count++) {
    const sequence = await stream.next();
    if (sequence === null) break;
    tokens += tokenCount(sequence);
  }
  const { rows, tooLong, truncated } = part.counts;
  const cut = tooLong > 0 ? `${tooLong} left out` : truncated > 0 ? `${truncated} cut` : null;
  if (cut !== null) tell(`${part.name}: longer than the context: ${cut} of ${rows + tooLong} rows`);
  return count < countedSequences ? tokens : Math.round(tokens / stream.epoch);
}

/** Tokens that are read: all but the last, which is only predicted. */
function tokenCount({ ids }: TokenSequence): number {
  return ids.length - 1;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
