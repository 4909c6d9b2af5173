import { SpecError } from "../spec.ts";

/** A parsed `config.json`. */
export type HuggingFaceConfig = Readonly<Record<string, unknown>>;

/** Whether a value is a JSON object: neither null nor a list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads typed values out of a parsed config. Absent and null mean the same, the default; a wrong
 * type, or no value where there is no default, throws {@linkcode SpecError} naming the key.
 */
export class ConfigReader {
  readonly #config: HuggingFaceConfig;
  readonly #prefix: string;

  /** `path` is where this object lies inside the whole config, for the messages. */
  constructor(config: HuggingFaceConfig, path = "") {
    this.#config = config;
    this.#prefix = path === "" ? "" : `${path}.`;
  }

  /** The value as it stands; null when absent. */
  value(key: string): unknown {
    return this.#config[key] ?? null;
  }

  /** Whether the key has a value that isn't null. */
  has(key: string): boolean {
    return this.value(key) !== null;
  }

  /** A finite number. */
  number(key: string, absent?: number): number {
    const value = this.value(key) ?? absent;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.#wrong(key, "a number");
  }

  /** A whole number above 0. */
  natural(key: string, absent?: number): number {
    const value = this.value(key) ?? absent;
    if (typeof value === "number" && Number.isSafeInteger(value) && value > 0) return value;
    throw this.#wrong(key, "a whole number above 0");
  }

  /** A boolean; false when absent. */
  flag(key: string): boolean {
    const value = this.value(key) ?? false;
    if (typeof value === "boolean") return value;
    throw this.#wrong(key, "true or false");
  }

  /** A nested object; null when absent. */
  object(key: string): ConfigReader | null {
    const value = this.value(key);
    if (value === null) return null;
    if (isObject(value)) return new ConfigReader(value, `${this.#prefix}${key}`);
    throw this.#wrong(key, "an object");
  }

  /** A list of objects. */
  objects(key: string): ConfigReader[] {
    const value = this.value(key);
    if (!Array.isArray(value) || !value.every(isObject)) {
      throw this.#wrong(key, "a list of objects");
    }
    return value.map((item, i) => new ConfigReader(item, `${this.#prefix}${key}[${i}]`));
  }

  /** Accepts only one value of a key, or its absence. */
  only(key: string, supported: string): void {
    if (this.has(key) && this.value(key) !== supported) {
      throw this.#unsupported(key, `Only ${JSON.stringify(supported)} is supported here.`);
    }
  }

  /** Accepts a key only when it says nothing: absent, null or false. */
  refuse(key: string, fix: string): void {
    if (this.has(key) && this.value(key) !== false) throw this.#unsupported(key, fix);
  }

  #unsupported(key: string, fix: string): SpecError {
    const path = this.#prefix + key;
    const given = JSON.stringify(this.value(key)).slice(0, 80);
    return new SpecError(path, `config.json: unsupported ${path}, ${given}. ${fix}`);
  }

  #wrong(key: string, needed: string): SpecError {
    const path = this.#prefix + key;
    const given = this.has(key) ? JSON.stringify(this.value(key)).slice(0, 80) : "it is absent";
    return new SpecError(path, `config.json: ${path} must be ${needed}, ${given}. Correct it.`);
  }
}
