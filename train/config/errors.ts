/**
 * The typed error of configurations.
 *
 * @module
 */

/** A configuration makes no sense. The message names every mistake, where it is, and what to write instead. */
export class ConfigError extends Error {
  /** The class name, for logs. */
  override readonly name = "ConfigError";

  /** An error about one mistake or several, a sentence each. */
  constructor(readonly mistakes: readonly string[]) {
    super(
      mistakes.length === 1
        ? `config: ${mistakes[0]}`
        : `config: ${mistakes.length} mistakes\n  ${mistakes.join("\n  ")}`,
    );
  }
}
