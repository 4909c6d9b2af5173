import { LoadError, openLibrary } from "../library.ts";
import { attributeTypes, descriptors } from "./cudnn_numbers.ts";
import { cudnnSymbols } from "./cudnn_symbols.ts";
import { findBeside } from "./find.ts";
import { cudnnHints, outPointer, statusError, textAt } from "./status.ts";

const oldestVersion = 90100;
/** Versions that compute wrong attention. */
const wrongVersions: readonly number[] = [91000, 91001];

/** Attributes that are numbers of an enumeration. */
type EnumerationType = "dataType" | "heuristicMode" | "pointwiseMode" | "reductionOperator";

/** cuDNN, by its graph interface: descriptors that are given attributes, finalised, and run. */
export class Cudnn {
  /** Its version, as `91900`. */
  readonly version: number;
  /** What runs plans; null where it was opened without a stream. */
  readonly handle: Deno.PointerObject | null;
  readonly #c: Deno.StaticForeignLibraryInterface<typeof cudnnSymbols>;

  /**
   * Loads the library and the parts beside it, so that the loader does not mix in those of another version.
   *
   * @param path Where it is, from `findCudaLibrary`.
   * @param stream Where plans run on the current device; null to only make plans, which needs no device.
   * @throws {LoadError} When it, or a part of it, cannot be opened, or when it is too old.
   * @throws {NativeError} When it does not start.
   */
  constructor(readonly path: string, stream: Deno.PointerObject | null) {
    for (const part of findBeside(path, "libcudnn_")) openLibrary(part, {});
    this.#c = openLibrary(path, cudnnSymbols).symbols;
    this.version = Number(this.#c.cudnnGetVersion());
    if (this.version < oldestVersion || wrongVersions.includes(this.version)) {
      throw new LoadError(
        `cuDNN: version ${
          cudnnVersionText(this.version)
        } is not used, "${path}" (9.1 or later is ` +
          `needed, but not 9.10.0 or 9.10.1). Install a newer one: pip install -U nvidia-cudnn-cu13.`,
        [path],
      );
    }
    this.handle = stream &&
      outPointer((out) => this.check(this.#c.cudnnCreate(out), "cudnnCreate"));
    if (stream) this.check(this.#c.cudnnSetStream(this.handle, stream), "cudnnSetStream");
  }

  /** Throws NativeError unless a call succeeded. */
  check(status: number, call: string): void {
    if (status === 0) return;
    const name = textAt(this.#c.cudnnGetErrorString(status)), text = new Uint8Array(512);
    this.#c.cudnnGetLastErrorString(text, BigInt(text.length));
    const reason = new TextDecoder().decode(text.subarray(0, text.indexOf(0))).trim();
    throw statusError(call, status, name, reason, cudnnHints);
  }

  /** A new descriptor. */
  descriptor(kind: keyof typeof descriptors): CudnnDescriptor {
    const pointer = outPointer((out) =>
      this.check(
        this.#c.cudnnBackendCreateDescriptor(descriptors[kind], out),
        `cudnnBackendCreateDescriptor(${kind})`,
      )
    );
    return new CudnnDescriptor(this, this.#c, kind, pointer);
  }

  /** Starts a plan with the memory that a pack names. */
  execute(plan: CudnnDescriptor, pack: CudnnDescriptor): void {
    const status = this.#c.cudnnBackendExecute(this.handle, plan.pointer, pack.pointer);
    if (status !== 0) this.check(status, "cudnnBackendExecute");
  }
}

/** 91900 as 9.19.0. */
export function cudnnVersionText(version: number): string {
  return `${Math.floor(version / 10000)}.${Math.floor(version / 100) % 100}.${version % 100}`;
}

/** A part of a graph, of a plan, or of a call. It is given attributes, and cannot be changed once it is finalised. */
export class CudnnDescriptor implements Disposable {
  readonly #cudnn: Cudnn;
  readonly #c: Deno.StaticForeignLibraryInterface<typeof cudnnSymbols>;

  /** Made by `Cudnn.descriptor()`. */
  constructor(
    cudnn: Cudnn,
    c: Deno.StaticForeignLibraryInterface<typeof cudnnSymbols>,
    readonly kind: string,
    readonly pointer: Deno.PointerObject,
  ) {
    this.#cudnn = cudnn;
    this.#c = c;
  }

  /** Sets whole numbers. */
  integers(attribute: number, ...values: readonly number[]): this {
    return this.#set(attribute, "int64", BigInt64Array.from(values, BigInt));
  }

  /** Sets a number of an enumeration. */
  choice(attribute: number, type: EnumerationType, value: number): this {
    return this.#set(attribute, type, Int32Array.of(value));
  }

  /** Sets a flag. */
  flag(attribute: number): this {
    return this.#set(attribute, "boolean", Uint8Array.of(1));
  }

  /** Sets an f32. */
  number(attribute: number, value: number): this {
    return this.#set(attribute, "float", Float32Array.of(value));
  }

  /** Sets text. */
  text(attribute: number, value: string): this {
    return this.#set(attribute, "character", new TextEncoder().encode(value));
  }

  /** Sets other descriptors. */
  parts(attribute: number, ...others: readonly CudnnDescriptor[]): this {
    return this.#set(attribute, "descriptor", addressesOf(others));
  }

  /** Sets addresses. */
  addresses(attribute: number, values: readonly number[]): this {
    return this.#set(attribute, "pointer", BigUint64Array.from(values, BigInt));
  }

  /** Sets the library's handle. */
  handle(attribute: number): this {
    const { handle } = this.#cudnn;
    return this.#set(attribute, "handle", BigUint64Array.of(Deno.UnsafePointer.value(handle)));
  }

  /** Checks what was set and ends the setting. Throws NativeError when it does not fit, or is not supported. */
  finalize(): this {
    this.#cudnn.check(
      this.#c.cudnnBackendFinalize(this.pointer),
      `cudnnBackendFinalize(${this.kind})`,
    );
    return this;
  }

  /** Reads a whole number. */
  integer(attribute: number): number {
    const value = new BigInt64Array(1);
    this.#get(attribute, "int64", value);
    return Number(value[0]);
  }

  /** Fills in descriptors of the right kind, and returns those that there were. */
  fill(attribute: number, others: readonly CudnnDescriptor[]): readonly CudnnDescriptor[] {
    return others.slice(0, this.#get(attribute, "descriptor", addressesOf(others)));
  }

  /** Gives it back; what was made of it stays. */
  [Symbol.dispose](): void {
    this.#c.cudnnBackendDestroyDescriptor(this.pointer);
  }

  #set(
    attribute: number,
    type: keyof typeof attributeTypes,
    values: Exclude<ArrayBufferView<ArrayBuffer>, DataView> & { readonly length: number },
  ): this {
    const count = BigInt(values.length);
    this.#cudnn.check(
      this.#c.cudnnBackendSetAttribute(
        this.pointer,
        attribute,
        attributeTypes[type],
        count,
        values as Uint8Array<ArrayBuffer>,
      ),
      `cudnnBackendSetAttribute(${this.kind}, ${attribute})`,
    );
    return this;
  }

  #get(
    attribute: number,
    type: keyof typeof attributeTypes,
    values: BigInt64Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>,
  ): number {
    const count = new BigInt64Array(1);
    this.#cudnn.check(
      this.#c.cudnnBackendGetAttribute(
        this.pointer,
        attribute,
        attributeTypes[type],
        BigInt(values.length),
        count,
        values,
      ),
      `cudnnBackendGetAttribute(${this.kind}, ${attribute})`,
    );
    return Number(count[0]);
  }
}

function addressesOf(others: readonly CudnnDescriptor[]): BigUint64Array<ArrayBuffer> {
  return BigUint64Array.from(others, ({ pointer }) => Deno.UnsafePointer.value(pointer));
}
