/**
 * YAML files that know on which line each key stands.
 *
 * @module
 */
import { isMap, isPair, LineCounter, parseDocument, type YAMLMap } from "yaml";
import { ConfigError } from "./errors.ts";

/** A parsed file. */
export interface YamlFile {
  /** What messages call it. */
  readonly name: string;
  /** What it holds: an object. */
  readonly value: Readonly<Record<string, unknown>>;
  /** The line of a key, from 1; of the nearest key above it where that is not in the file. */
  lineOf(path: readonly (string | number)[]): number;
}

/** Reads YAML. Throws ConfigError, with lines, where it is malformed or holds no object. */
export function parseYamlFile(name: string, text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  if (document.errors.length > 0) {
    throw new ConfigError(document.errors.map(({ message, linePos }) => {
      const [what] = message.split(/ at line \d+/);
      return `${name}:${linePos?.[0].line ?? 1}: ${what}. Correct the YAML there.`;
    }));
  }
  const value = document.toJS() as unknown ?? {};
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ConfigError([`${name}:1: this is no list of keys. Write them as "key: value".`]);
  }
  const start = (node: unknown): number | undefined =>
    (node as { range?: [number, number, number] } | undefined)?.range?.[0];
  return {
    name,
    value: value as Record<string, unknown>,
    lineOf(path) {
      for (let length = path.length; length > 0; length--) {
        const parent = document.getIn(path.slice(0, length - 1), true);
        const offset = isMap(parent)
          ? start(keyNode(parent, path[length - 1]))
          : start(document.getIn(path.slice(0, length), true));
        if (offset !== undefined) return lines.linePos(offset).line;
      }
      return 1;
    },
  };
}

function keyNode(map: YAMLMap, key: string | number): unknown {
  const pair = map.items.find((item) =>
    isPair(item) && (item.key as { value?: unknown }).value === key
  );
  return pair?.key;
}
