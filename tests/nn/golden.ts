/**
 * Tensors that committed Python scripts wrote.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { toFloat32 } from "../../nn/mod.ts";
import { SafetensorsFile, Tensor } from "../../tensor/mod.ts";

/** The path of a folder in `tests/golden`. */
export function goldenFolder(name: string): string {
  return fileURLToPath(new URL(`../golden/${name}`, import.meta.url));
}

/** ids [batch, time], and what a peer computed from them: `golden.safetensors` of a folder. */
export class Golden implements Disposable {
  readonly #file: SafetensorsFile;

  /** Opens `golden.safetensors` of a folder in `tests/golden`. */
  constructor(folder: string) {
    this.#file = SafetensorsFile.open(`${goldenFolder(folder)}/golden.safetensors`);
  }

  /** Names of all tensors. */
  get names(): string[] {
    return [...this.#file.entries.keys()];
  }

  /** An f32 tensor. */
  numbers(name: string): Float32Array {
    return toFloat32("f32", this.#file.read(name));
  }

  /** The ids, i32 [batch, time]. */
  ids(): Tensor {
    const { shape } = this.#file.entries.get("ids")!;
    return Tensor.fromBytes(this.#file.read("ids"), shape, { dtype: "i32" });
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
