import { NativeError } from "../status.ts";
import { openLibrary } from "../library.ts";
import { findBeside } from "./find.ts";
import { nvrtcSymbols } from "./nvrtc_symbols.ts";
import { cString, nvrtcHints, outInteger, outPointer, statusError, textAt } from "./status.ts";

const compilationFailed = 6;

/** A CUDA source that does not compile. */
export class CudaCompileError extends NativeError {
  /**
   * Describes the failure.
   *
   * @param name What was compiled.
   * @param log What the compiler said.
   */
  constructor(name: string, readonly log: string) {
    super(`nvrtcCompileProgram(${name})`, compilationFailed, "NVRTC_ERROR_COMPILATION", log);
  }
}

/** The runtime compiler. */
export class Nvrtc {
  /** Its version, as `13.0`. */
  readonly version: string;
  readonly #c: Deno.StaticForeignLibraryInterface<typeof nvrtcSymbols>;

  /**
   * Loads the compiler. Its builtins, which some packages cannot find by themselves, are loaded first.
   *
   * @param path Where it is, from `findCudaLibrary`.
   * @throws {LoadError} When it cannot be opened.
   */
  constructor(readonly path: string) {
    for (const builtins of findBeside(path, "libnvrtc-builtins.so")) openLibrary(builtins, {});
    this.#c = openLibrary(path, nvrtcSymbols).symbols;
    const minor = new Int32Array(1);
    const major = outInteger((out) =>
      this.#check(this.#c.nvrtcVersion(out, minor), "nvrtcVersion")
    );
    this.version = `${major}.${minor[0]}`;
  }

  /**
   * Compiles a source to code for one kind of device.
   *
   * @param name What it is, for messages.
   * @param source The text; it includes nothing.
   * @param options As `--gpu-architecture=sm_90`.
   * @throws {CudaCompileError} With the compiler's messages.
   */
  compile(
    name: string,
    source: string,
    options: readonly string[],
  ): { readonly image: Uint8Array<ArrayBuffer>; readonly log: string } {
    const c = this.#c;
    const program = outPointer((out) =>
      this.#check(
        c.nvrtcCreateProgram(out, cString(source), cString(name), 0, null, null),
        "nvrtcCreateProgram",
      )
    );
    try {
      const texts = options.map(cString);
      const table = BigUint64Array.from(
        texts,
        (text) => Deno.UnsafePointer.value(Deno.UnsafePointer.of(text)),
      );
      const status = c.nvrtcCompileProgram(program, texts.length, table);
      const log = this.#log(program);
      if (status === compilationFailed) throw new CudaCompileError(name, log);
      this.#check(status, `nvrtcCompileProgram(${name})`);
      const bytes = outInteger((out) =>
        this.#check(c.nvrtcGetCUBINSize(program, out), "nvrtcGetCUBINSize")
      );
      const image = new Uint8Array(bytes);
      this.#check(c.nvrtcGetCUBIN(program, image), "nvrtcGetCUBIN");
      return { image, log };
    } finally {
      c.nvrtcDestroyProgram(BigUint64Array.of(Deno.UnsafePointer.value(program)));
    }
  }

  #log(program: Deno.PointerObject): string {
    const bytes = outInteger((out) =>
      this.#check(this.#c.nvrtcGetProgramLogSize(program, out), "nvrtcGetProgramLogSize")
    );
    const text = new Uint8Array(bytes);
    this.#check(this.#c.nvrtcGetProgramLog(program, text), "nvrtcGetProgramLog");
    return new TextDecoder().decode(text.subarray(0, text.indexOf(0))).trim();
  }

  #check(status: number, call: string): void {
    if (status === 0) return;
    throw statusError(call, status, textAt(this.#c.nvrtcGetErrorString(status)), "", nvrtcHints);
  }
}
