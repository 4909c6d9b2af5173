import { LoadError, openLibrary } from "../library.ts";
import { ncclSymbols } from "./nccl_symbols.ts";
import { ncclHints, outInteger, outPointer, statusError, textAt } from "./status.ts";

/** Element types, as ncclDataType_t numbers them. */
export const ncclTypes = { i8: 0, u8: 1, i32: 2, f16: 6, f32: 7, f64: 8, bf16: 9 } as const;

/** What a reduction does, as ncclRedOp_t numbers it. */
export const ncclOperators = { sum: 0, product: 1, max: 2, min: 3, average: 4 } as const;

/** Element type of what is sent. */
export type NcclType = keyof typeof ncclTypes;

/** What a reduction does. */
export type NcclOperator = keyof typeof ncclOperators;

/** Bytes of the number that ranks share to find each other. */
export const ncclIdBytes = 128;

const oldestVersion = 21200;

/** Statuses that are told by asynchronous errors and are none. */
const inProgress = 7;

/** NCCL: exchange between GPUs. */
export class Nccl {
  /** Its version, as `22809`. */
  readonly version: number;
  readonly #c: Deno.StaticForeignLibraryInterface<typeof ncclSymbols>;

  /**
   * Loads the library.
   *
   * @param path Where it is, from `findCudaLibrary`.
   * @throws {LoadError} When it cannot be opened, or when it is too old.
   */
  constructor(readonly path: string) {
    this.#c = openLibrary(path, ncclSymbols).symbols;
    this.version = outInteger((out) => this.check(this.#c.ncclGetVersion(out), "ncclGetVersion"));
    if (this.version >= oldestVersion) return;
    throw new LoadError(
      `NCCL: version ${ncclVersionText(this.version)} is too old, "${path}" (2.12 is needed). ` +
        `Install a newer one: pip install -U nvidia-nccl-cu13.`,
      [path],
    );
  }

  /** A new number for a group of ranks. One of them makes it, and gives it to the others. */
  uniqueId(): Uint8Array<ArrayBuffer> {
    const id = new Uint8Array(ncclIdBytes);
    this.check(this.#c.ncclGetUniqueId(id), "ncclGetUniqueId");
    return id;
  }

  /**
   * Joins a group on the current device. Waits until all ranks have joined.
   *
   * @param id What `uniqueId()` gave one of the ranks.
   * @throws {RangeError} For a rank that is not of the group, or an id that is none.
   * @throws {NativeError} When the others cannot be reached.
   */
  join(id: Uint8Array<ArrayBuffer>, rank: number, ranks: number): NcclGroup {
    if (!(Number.isInteger(rank) && rank >= 0 && rank < ranks) || id.length !== ncclIdBytes) {
      throw new RangeError(
        `NCCL: a rank of a group and an id of ${ncclIdBytes} bytes are needed, ` +
          `rank ${rank} of ${ranks} (${id.length} bytes). Ranks count from 0.`,
      );
    }
    const communicator = outPointer((out) =>
      this.check(
        this.#c.ncclCommInitRank(out, ranks, id, rank),
        `ncclCommInitRank(${rank} of ${ranks})`,
      )
    );
    return new NcclGroup(this, this.#c, communicator, rank, ranks);
  }

  /** Starts everything that `body` asks for at once, so that calls on several groups do not wait for each other. */
  together<T>(body: () => T): T {
    this.check(this.#c.ncclGroupStart(), "ncclGroupStart");
    let result: T;
    try {
      result = body();
    } catch (error) {
      this.#c.ncclGroupEnd(); // what was asked for before cannot be taken back
      throw error;
    }
    this.check(this.#c.ncclGroupEnd(), "ncclGroupEnd");
    return result;
  }

  /** Throws NativeError unless a call succeeded. */
  check(status: number, call: string, communicator: Deno.PointerValue = null): void {
    if (status === 0) return;
    const name = textAt(this.#c.ncclGetErrorString(status));
    const reason = textAt(this.#c.ncclGetLastError(communicator)).trim();
    throw statusError(call, status, name, reason, ncclHints);
  }
}

/** 22809 as 2.28.9. */
export function ncclVersionText(version: number): string {
  return `${Math.floor(version / 10000)}.${Math.floor(version / 100) % 100}.${version % 100}`;
}

/** What is sent and received. */
export interface Exchange {
  /** Address of what is sent, on the device. */
  readonly from: number;
  /** Address of what is received; may be the same where sizes are. */
  readonly to: number;
  /** Elements: of what is sent, but of what is received where results are scattered. */
  readonly count: number;
  /** Their type. */
  readonly type: NcclType;
}

/** Ranks that exchange. Every rank must make the same calls in the same order; each only starts the exchange. */
export class NcclGroup implements Disposable {
  readonly #nccl: Nccl;
  readonly #c: Deno.StaticForeignLibraryInterface<typeof ncclSymbols>;
  readonly #communicator: Deno.PointerObject;
  #open = true;

  /** Made by `Nccl.join()`. */
  constructor(
    nccl: Nccl,
    c: Deno.StaticForeignLibraryInterface<typeof ncclSymbols>,
    communicator: Deno.PointerObject,
    /** Which one this is, from 0. */
    readonly rank: number,
    /** How many there are. */
    readonly ranks: number,
  ) {
    [this.#nccl, this.#c, this.#communicator] = [nccl, c, communicator];
  }

  /** Every rank gets what all sent, reduced element by element: [count] → [count]. */
  allReduce(x: Exchange, operator: NcclOperator, stream: Deno.PointerObject): void {
    const [from, to, count] = pointersOf(x), op = ncclOperators[operator];
    this.#check(
      this.#c.ncclAllReduce(from, to, count, ncclTypes[x.type], op, this.#communicator, stream),
      "ncclAllReduce",
    );
  }

  /** Every rank gets its part of what all sent, reduced: [ranks · count] → [count]. */
  reduceScatter(x: Exchange, operator: NcclOperator, stream: Deno.PointerObject): void {
    const [from, to, count] = pointersOf(x), op = ncclOperators[operator];
    this.#check(
      this.#c.ncclReduceScatter(from, to, count, ncclTypes[x.type], op, this.#communicator, stream),
      "ncclReduceScatter",
    );
  }

  /** Every rank gets what all sent, one after the other: [count] → [ranks · count]. */
  allGather(x: Exchange, stream: Deno.PointerObject): void {
    const [from, to, count] = pointersOf(x);
    this.#check(
      this.#c.ncclAllGather(from, to, count, ncclTypes[x.type], this.#communicator, stream),
      "ncclAllGather",
    );
  }

  /** Every rank gets what rank `root` sent. */
  broadcast(x: Exchange, root: number, stream: Deno.PointerObject): void {
    const [from, to, count] = pointersOf(x);
    this.#check(
      this.#c.ncclBroadcast(from, to, count, ncclTypes[x.type], root, this.#communicator, stream),
      "ncclBroadcast",
    );
  }

  /** Throws NativeError when an exchange that was started has failed, as when another rank is gone. */
  checkHealth(): void {
    const status = outInteger((out) =>
      this.#check(
        this.#c.ncclCommGetAsyncError(this.#communicator, out),
        "ncclCommGetAsyncError",
      )
    );
    if (status !== inProgress) this.#check(status, "an exchange that was started");
  }

  /** Leaves the group at once, whatever is under way, as after an error. */
  abort(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#check(this.#c.ncclCommAbort(this.#communicator), "ncclCommAbort");
  }

  /** Leaves the group, once what was started is done. Safe to call twice. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#check(this.#c.ncclCommDestroy(this.#communicator), "ncclCommDestroy");
  }

  #check(status: number, call: string): void {
    if (status === 0) return;
    const who = `${call} (rank ${this.rank} of ${this.ranks})`;
    this.#nccl.check(status, who, this.#open ? this.#communicator : null);
  }
}

function pointersOf(
  { from, to, count }: Exchange,
): readonly [Deno.PointerValue, Deno.PointerValue, bigint] {
  return [
    Deno.UnsafePointer.create(BigInt(from)),
    Deno.UnsafePointer.create(BigInt(to)),
    BigInt(count),
  ];
}
