/**
 * `deno task eval`: what a model is worth on rows that it has not seen.
 *
 * @module
 */
import { basename } from "node:path";
import { Engine } from "../engine/mod.ts";
import {
  isChat,
  isCompletion,
  openRows,
  type Row,
  rowsOf,
  tokenizeRows,
} from "../train/data/mod.ts";
import { rlRow } from "../train/data/synthetic/mod.ts";
import {
  answerRow,
  type EvalReport,
  evalTable,
  evaluate,
  type JudgedCompletion,
  perplexityOf,
  type PerplexityReport,
  type ThinkingMode,
} from "../train/eval/mod.ts";
import { engineCompletions } from "../train/generator.ts";
import { writeText } from "../train/puzzle/json_file.ts";
import { choiceReward, exactReward, mathReward, type RewardRow } from "../train/rewards/mod.ts";
import { runCommand } from "./command.ts";
import { succeeded, UsageError } from "./errors.ts";
import { modelOptions, type OpenModel, openModel } from "./model.ts";
import {
  choice,
  type Command,
  flag,
  integer,
  number,
  text,
  texts,
  userPath,
  type Values,
} from "./options.ts";
import { dim, systemTerminal, type Terminal } from "./terminal.ts";

const options = {
  ...modelOptions,
  data: texts("PATH", "A file or folder of rows; more than once (default: the embedded tasks)"),
  rows: integer("N", "The most rows to use", { min: 1, fallback: 200 }),
  split: choice(["train", "validation", "test"], "Part of the embedded tasks (default: test)"),
  thinking: choice(
    ["on", "off", "both", "given"],
    "The reasoning switch of questions (default: both)",
  ),
  reward: choice(["math", "exact", "choice"], "How answers are compared (default: math)"),
  samples: integer("N", "Answers to each question", { min: 1, fallback: 1 }),
  maxTokens: integer("N", "The most tokens of an answer", { min: 1, fallback: 256 }),
  temperature: number("T", "0 takes the most likely token", { min: 0, fallback: 0 }),
  seed: integer("N", "Decides what is drawn", { min: 0, fallback: 0 }),
  write: text("FILE", "Where to write the answers that ended, as conversations (JSON Lines)"),
  json: flag("End with one line of JSON"),
};

const command: Command<typeof options> = {
  name: "eval",
  summary: "Measures a model: right answers with thinking on and off, and perplexity of texts.",
  options,
  examples: ["", "--model ./model --data test.jsonl", "--data book.txt --json"],
  notes: [
    "Rows with an answer are questions to be answered; all others are texts and conversations " +
    "whose perplexity is measured. Embedded tasks are of a part that nothing is trained on; answers to another part " +
    "(--split train --temperature 1 --write FILE) are what a student of this model can be fine-tuned on.",
  ],
};

/** Rows by what is measured of them. */
interface Questions {
  readonly questions: readonly RewardRow[];
  readonly texts: readonly Row[];
}

/** Runs the command; returns its exit code. */
export function main(args: readonly string[], terminal: Terminal): Promise<number> {
  return runCommand(command, args, terminal, async (values) => {
    const { questions, texts } = values.data.length === 0
      ? { questions: embedded(values), texts: [] }
      : await readRows(values, terminal);
    using model = await openModel(values, terminal);
    const perplexity = texts.length === 0 ? null : await perplexityOfRows(texts, model);
    const { reports: answers, answered } = await answer(questions, model, values);
    if (values.write !== undefined) writeText(userPath(values.write), jsonLines(answered));
    if (perplexity !== null) {
      const { tokens, loss, perplexity: figure } = perplexity;
      terminal.write(
        `perplexity ${figure.toFixed(3)}  loss ${loss.toFixed(4)}  ${tokens} tokens\n`,
      );
    }
    if (answers.length > 0) terminal.write(evalTable(answers) + "\n");
    if (values.json) {
      terminal.write(JSON.stringify({ model: model.name, perplexity, answers }) + "\n");
    }
    return succeeded;
  });
}

/** Problems of the embedded tasks, by default of a part that nothing is trained on. */
function embedded({ rows, split = "test" }: Values<typeof options>): RewardRow[] {
  return Array.from({ length: rows }, (_, i) => {
    const { prompt, ...row } = rlRow(i, { split });
    return { messages: prompt, ...row };
  });
}

/** The first rows of files. Throws RowError for one that cannot be used. */
async function readRows(values: Values<typeof options>, terminal: Terminal): Promise<Questions> {
  const tell = (line: string): void => terminal.report(dim(line, terminal) + "\n");
  // One row for each question: the switch is set when it is asked.
  using rows = await openRows(values.data.map(userPath), { tell, switches: "on" });
  const questions: RewardRow[] = [], texts: Row[] = [];
  for (let index = 0; index < Math.min(rows.count, values.rows); index++) {
    for (const row of await rows.read(index)) {
      const asks = row.answer !== undefined && (isChat(row) || isCompletion(row));
      if (asks) questions.push(row);
      else texts.push(row);
    }
  }
  return { questions, texts };
}

async function perplexityOfRows(
  texts: readonly Row[],
  { decoder, tokenizer }: OpenModel,
): Promise<PerplexityReport> {
  return await perplexityOf(
    decoder,
    tokenizeRows(rowsOf(texts, "texts"), {
      tokenizer,
      context: decoder.context,
      vocabulary: decoder.spec.vocab,
      tooLong: "truncate",
    }),
  );
}

/** What answers to questions were worth, and those that ended as rows, in the order of the questions. */
async function answer(
  rows: readonly RewardRow[],
  { decoder, tokenizer }: OpenModel,
  values: Values<typeof options>,
): Promise<{ readonly reports: readonly EvalReport[]; readonly answered: readonly Row[] }> {
  if (rows.length === 0) return { reports: [], answered: [] };
  const isEmbedded = values.data.length === 0;
  const { reward = isEmbedded ? "exact" : "math", thinking = "both" } = values;
  const correct = { math: mathReward(), exact: exactReward, choice: choiceReward }[reward];
  const modes: readonly ThinkingMode[] = thinking === "both" ? ["on", "off"] : [thinking];
  const { samples, maxTokens, temperature, seed } = values;
  if (samples > 1 && temperature === 0) {
    throw new UsageError(
      `eval: --samples ${samples} at temperature 0 would all be the same. Add --temperature 0.6.`,
    );
  }
  const name = isEmbedded ? "embedded" : values.data.map((path) => basename(path)).join(", ");
  using engine = new Engine(decoder);
  const judged: JudgedCompletion[] = [];
  const reports = await evaluate([{ name, rows, correct }], {
    ...{ generate: engineCompletions(engine), tokenizer, modes },
    ...{ samples, maxTokens, temperature, seed },
    onJudged: (one) => judged.push(one),
  });
  const place = ({ problem, mode, sample }: JudgedCompletion): number =>
    (problem * modes.length + modes.indexOf(mode)) * samples + sample;
  judged.sort((a, b) => place(a) - place(b));
  const ended = judged.filter(({ completion }) => completion.ended);
  return { reports, answered: ended.flatMap((one) => answerRow(rows[one.problem], one) ?? []) };
}

function jsonLines(rows: readonly Row[]): string {
  return rows.map((row) => JSON.stringify(row) + "\n").join("");
}

if (import.meta.main) Deno.exit(await main(Deno.args, systemTerminal()));
