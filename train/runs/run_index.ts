/**
 * An SQLite index of runs, so that many of them can be listed and compared with a query.
 *
 * It repeats what the runs' own records say: when it is lost, it is made again from them.
 *
 * @module
 */
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { readRecords, type RunRecord } from "./record.ts";

const indexFile = "index.sqlite";

/** The index of the runs in one folder. */
export class RunIndex implements Disposable {
  readonly #root: string;
  readonly #database: DatabaseSync;

  /** Opens the index of the runs in `root`, a folder that is there, or makes it from their records. */
  constructor(root: string) {
    const path = join(root, indexFile), isNew = !existsSync(path);
    this.#root = root;
    this.#database = new DatabaseSync(path);
    // Runs side by side write to it: a writer waits for another one.
    this.#database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA busy_timeout = 5000;
      CREATE TABLE IF NOT EXISTS runs (
        name TEXT PRIMARY KEY, stage TEXT NOT NULL, status TEXT NOT NULL, created TEXT NOT NULL,
        updated TEXT NOT NULL, step INTEGER NOT NULL, steps INTEGER, loss REAL, record TEXT NOT NULL
      ) STRICT`);
    if (isNew) readRecords(root).forEach((record) => this.put(record));
  }

  /** Adds a run, or replaces what was known about it. */
  put(record: RunRecord): void {
    const { name, stage, status, created, updated, step, steps, metrics } = record;
    this.#database.prepare("REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .run(
        ...[name, stage, status, created, updated, step, steps],
        metrics.loss ?? null,
        JSON.stringify(record),
      );
  }

  /** Forgets a run. */
  remove(name: string): void {
    this.#database.prepare("DELETE FROM runs WHERE name = ?").run(name);
  }

  /** All runs that are still there, the newest first. */
  list(): RunRecord[] {
    const rows = this.#database.prepare("SELECT record FROM runs ORDER BY created DESC").all();
    return rows.map(({ record }) => JSON.parse(String(record)) as RunRecord).filter(({ name }) => {
      const isThere = existsSync(join(this.#root, name));
      if (!isThere) this.remove(name);
      return isThere;
    });
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#database.close();
  }
}

/** Removes the index of a folder, and the folder when nothing else is in it. */
export function removeIndex(root: string): void {
  for (const suffix of ["", "-wal", "-shm"]) {
    rmSync(join(root, `${indexFile}${suffix}`), { force: true });
  }
  if (readdirSync(root).length === 0) rmdirSync(root);
}
