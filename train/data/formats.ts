/**
 * The shapes that rows of training data come in, told by their fields, and what becomes of each.
 *
 * @module
 */
import { type ChatMessage, setThinking } from "../../text/mod.ts";
import { RowError } from "./errors.ts";
import { type Fields, isFields, kindOf, text } from "./fields.ts";
import { gsm8kRows, gsm8kSolution, type SwitchSettings } from "./gsm8k.ts";
import { messageList, shareGptMessages, targetsOf, toolList } from "./messages.ts";
import type { ChatRow, Row } from "./rows.ts";

/** What a file's rows look like. */
export interface RowFormat {
  /** As messages call it. */
  readonly name: string;
  /** The fields by which it is known. */
  readonly fields: readonly string[];
  /** The rows that one value gives. Throws RowError where a field is of the wrong type. */
  rows(fields: Fields, options: FormatOptions): Row[];
}

/** How rows are made of values. */
export interface FormatOptions {
  /** What becomes of a row with a solution and an answer, as in GSM8K (default both). */
  readonly switches?: SwitchSettings;
}

/** The formats, the more telling fields first: the first one whose fields are all there is a file's format. */
export const rowFormats: readonly RowFormat[] = [
  {
    name: "messages",
    fields: ["messages"],
    rows: (fields) => [chat(fields, messageList(fields.messages, "messages"))],
  },
  {
    name: "ShareGPT conversations",
    fields: ["conversations"],
    rows: (fields) => [chat(fields, shareGptMessages(fields))],
  },
  {
    name: "prompt and completion",
    fields: ["prompt", "completion"],
    rows: ({ prompt, completion, ...rest }) => [promptCompletion(rest, prompt, completion)],
  },
  {
    name: "Alpaca instructions",
    fields: ["instruction", "output"],
    rows({ instruction, input, output, system, ...rest }) {
      const given = input === undefined || input === null ? "" : text(input, "input");
      const asked = text(instruction, "instruction");
      const user = given === "" ? asked : `${asked}\n\n${given}`;
      return [dialogue(rest, user, text(output, "output"), system)];
    },
  },
  {
    name: "input and output",
    fields: ["input", "output"],
    rows: (fields) => [inputOutput(fields)],
  },
  {
    name: "question and answer",
    fields: ["question", "answer"],
    rows({ question, answer, ...rest }, { switches = "both" }) {
      const [asked, written] = [text(question, "question"), text(answer, "answer")];
      const solution = gsm8kSolution(written);
      if (solution !== null) return gsm8kRows(asked, solution, switches, rest);
      return [dialogue({ ...rest, answer: written }, asked, written)];
    },
  },
  {
    name: "problem and solution",
    fields: ["problem", "generated_solution"],
    rows: ({ problem, generated_solution: solution, ...rest }) => [
      dialogue(
        withAnswer(rest),
        text(problem, "problem"),
        text(solution, "generated_solution"),
      ),
    ],
  },
  {
    name: "problem and expected answer",
    fields: ["problem", "expected_answer"],
    rows: ({ problem, ...rest }) => [question(withAnswer(rest), text(problem, "problem"))],
  },
  {
    name: "prompt alone",
    fields: ["prompt"],
    rows: ({ prompt, ...rest }) => [
      typeof prompt === "string"
        ? question(rest, prompt)
        : { ...rest, messages: messageList(prompt, "prompt") },
    ],
  },
  {
    name: "text",
    fields: ["text"],
    rows: (fields) => [{ ...fields, text: text(fields.text, "text") }],
  },
];

/** The format of a value, or null. A preference pair, for one, is none of these. */
export function formatOf(value: unknown): RowFormat | null {
  if (!isFields(value)) return null;
  return rowFormats.find(({ fields }) => fields.every((field) => value[field] !== undefined)) ??
    null;
}

/** The conversation of a row, with its tools and the messages to train where the row says so. */
function chat(
  { messages: _, conversations: __, tools, ...rest }: Fields,
  messages: readonly ChatMessage[],
): ChatRow {
  const targets = targetsOf(messages);
  return {
    ...rest,
    messages,
    ...(tools === undefined || tools === null ? {} : { tools: toolList(tools) }),
    ...(targets === undefined ? {} : { targets }),
  };
}

/** TRL's two kinds: texts, and lists of messages of which the completion's are trained. */
function promptCompletion(rest: Fields, prompt: unknown, completion: unknown): Row {
  if (typeof prompt === "string" && typeof completion === "string") {
    return { ...rest, prompt, completion };
  }
  if (typeof prompt === "string" || typeof completion === "string") {
    throw new RowError(
      `"prompt" is ${kindOf(prompt)}, "completion" is ${kindOf(completion)}. ` +
        "Make both of them texts, or both of them lists of messages.",
    );
  }
  const given = messageList(prompt, "prompt");
  const row = chat(rest, [...given, ...messageList(completion, "completion")]);
  const targets = row.messages.flatMap(({ role }, i) => role === "assistant" ? [i] : []);
  return { ...row, targets: (row.targets ?? targets).filter((i) => i >= given.length) };
}

/** Llama-Nemotron's post-training rows: the input is a text or messages, and `reasoning` names the switch. */
function inputOutput({ input, output, system_prompt: system, ...rest }: Fields): Row {
  const answer = text(output, "output");
  if (typeof input === "string") return { ...rest, prompt: input, completion: answer };
  const dialogue = [...messageList(input, "input"), { role: "assistant", content: answer }];
  const { reasoning } = rest;
  const messages = reasoning === "on" || reasoning === "off"
    ? setThinking(dialogue, reasoning === "on")
    : withSystem(dialogue, system);
  return { ...rest, messages, targets: [messages.length - 1] };
}

function withSystem(messages: readonly ChatMessage[], system: unknown): ChatMessage[] {
  if (system === undefined || system === null || system === "") return [...messages];
  return [{ role: "system", content: text(system, "system") }, ...messages];
}

function dialogue(rest: Fields, user: string, assistant: string, system?: unknown): ChatRow {
  const messages = [
    { role: "user", content: user },
    { role: "assistant", content: assistant },
  ];
  return { ...rest, messages: withSystem(messages, system) };
}

function question(rest: Fields, user: string): ChatRow {
  return { ...rest, messages: [{ role: "user", content: user }] };
}

function withAnswer({ expected_answer: answer, ...rest }: Fields): Fields {
  return answer === undefined ? rest : { ...rest, answer: String(answer) };
}
