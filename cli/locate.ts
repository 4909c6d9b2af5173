/**
 * Finding a model by what the user calls it.
 *
 * @module
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { downloadModel } from "../nn/mod.ts";
import { UsageError } from "./errors.ts";
import { userPath } from "./options.ts";
import { Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

const hubName = /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/;

/** The path of a model: what the user gave, or where a download of that name lies. Throws UsageError or DownloadError. */
export async function locateModel(
  given: string,
  terminal: Terminal,
  accept?: (file: string) => boolean,
): Promise<string> {
  const local = given === "" ? "" : userPath(given);
  if (local !== "" && existsSync(local)) return checkFolder(local);
  if (!hubName.test(given) || given.endsWith(".gguf") || given.endsWith(".bin")) {
    throw new UsageError(
      `model: there is no file or folder "${given}". ` +
        "Check the path, or give a hub name as org/name.",
    );
  }
  terminal.report(`model: there is no folder "${given}" here, asking the hub for it\n`);
  using progress = new Progress(terminal, `downloading ${given}`);
  return await downloadModel(given, {
    ...(accept === undefined ? {} : { accept }),
    onProgress: ({ file, bytes, total }) => progress.update(bytes, total, file),
  });
}

/** Throws UsageError for a folder that is no model, naming the models in it. */
function checkFolder(place: string): string {
  if (!statSync(place).isDirectory() || existsSync(join(place, "config.json"))) return place;
  const file = readdirSync(place).sort().find((name) => /\.(gguf|bin)$/.test(name));
  const fix = file === undefined
    ? "Give the folder of a model."
    : `Did you mean ${join(place, file)}?`;
  throw new UsageError(`model: the folder ${place} has no config.json. ${fix}`);
}
