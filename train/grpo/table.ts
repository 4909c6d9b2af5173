/**
 * The completions of a run, to look at.
 *
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { writeAtomically } from "../../tensor/mod.ts";
import { messagesOfRow, type RewardRow } from "../rewards/mod.ts";
import type { JudgedGroup } from "./judged.ts";

/**
 * Writes each rollout into the folder: `rollout-000001.jsonl`, one completion a line, and `rollout-000001.txt` for people.
 * A rollout that is made again after an interruption replaces its files.
 */
export function completionsTable(
  folder: string,
): (rollout: number, groups: readonly JudgedGroup[]) => void {
  return (rollout, groups) => {
    mkdirSync(folder, { recursive: true });
    const name = join(folder, `rollout-${String(rollout).padStart(6, "0")}`);
    writeText(`${name}.jsonl`, jsonLines(rollout, groups));
    writeText(`${name}.txt`, groups.map(readable).join("\n"));
  };
}

function writeText(path: string, text: string): void {
  writeAtomically(path, (write) => write(new TextEncoder().encode(text)));
}

function jsonLines(rollout: number, groups: readonly JudgedGroup[]): string {
  const lines = groups.flatMap(({ row, completions, advantages }, prompt) =>
    completions.map(({ completion, reward, outcome }, i) => ({
      ...{ rollout, prompt, question: questionOf(row), answer: row.answer ?? null },
      completion: completion.text,
      ...{ ended: completion.ended, tokens: completion.tokens, reward, advantage: advantages[i] },
      ...{ scores: outcome.scores, failures: outcome.failures },
    }))
  );
  return lines.map((line) => `${JSON.stringify(line)}\n`).join("");
}

function readable({ row, completions, advantages }: JudgedGroup, prompt: number): string {
  const head = `── ${prompt + 1}. ${questionOf(row)}${"answer" in row ? `  [${row.answer}]` : ""}`;
  const lines = completions.map(({ completion, reward, outcome }, i) => {
    const scores = Object.entries(outcome.scores).map(([name, score]) => `${name} ${score}`);
    const figures = [`reward ${reward}`, `advantage ${advantages[i].toFixed(2)}`, ...scores].join(
      ", ",
    );
    const end = completion.ended ? "" : " …";
    return `${figures}, ${completion.tokens} tokens\n${indent(completion.text + end)}`;
  });
  return `${head}\n\n${lines.join("\n\n")}\n`;
}

/** What was asked last. */
function questionOf(row: RewardRow): string {
  const messages = messagesOfRow(row);
  return String(messages ? messages.findLast(({ role }) => role === "user")?.content : row.prompt);
}

function indent(text: string): string {
  return text.split("\n").map((line) => `    ${line}`).join("\n");
}
