import assert from "node:assert/strict";
import { openRows, type Row, rowTexts } from "../../../train/data/mod.ts";
import { sharedPath, sharedTest } from "../../text/shared.ts";
import { readAll, rowsOfFile } from "./support.ts";

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });
const system = (content: string) => ({ role: "system", content });

/** A row as a file has it, and what it becomes. */
const cases: Readonly<Record<string, readonly [given: unknown, rows: Row[]]>> = {
  "messages keep their other fields": [
    { messages: [user("Hi"), assistant("Hello")], level: 2 },
    [{ messages: [user("Hi"), assistant("Hello")], level: 2 }],
  ],
  "text parts are joined, other parts stay": [
    {
      messages: [
        { role: "user", content: [{ type: "text", text: "a" }, { type: "text", value: "b" }] },
        { role: "user", content: [{ type: "image" }] },
        { role: "assistant", content: null, tool_calls: [] },
      ],
    },
    [{
      messages: [
        user("ab"),
        { role: "user", content: [{ type: "image" }] },
        { role: "assistant", tool_calls: [] },
      ],
    }],
  ],
  "a weight of 0 takes a message out of the targets": [
    { messages: [user("a"), { ...assistant("b"), weight: 0 }, user("c"), assistant("d")] },
    [{
      messages: [user("a"), { ...assistant("b"), weight: 0 }, user("c"), assistant("d")],
      targets: [3],
    }],
  ],
  "ShareGPT turns become messages, with tools and their calls": [
    {
      conversations: [
        { from: "human", value: "2+2?" },
        { from: "function_call", value: '{"name": "add", "arguments": {"a": 2}}' },
        { from: "observation", value: "4" },
        { from: "gpt", value: "Four." },
      ],
      system: "Use tools.",
      tools: '[{"name": "add"}]',
    },
    [{
      messages: [
        system("Use tools."),
        user("2+2?"),
        {
          role: "assistant",
          content: "",
          tool_calls: [{ type: "function", function: { name: "add", arguments: { a: 2 } } }],
        },
        { role: "tool", content: "4" },
        assistant("Four."),
      ],
      system: "Use tools.",
      tools: [{ name: "add" }],
    }],
  ],
  "a prompt and a completion stay texts": [
    { prompt: "2+2=", completion: "4", id: 7 },
    [{ prompt: "2+2=", completion: "4", id: 7 }],
  ],
  "lists of messages as prompt and completion become a dialogue whose completion is trained": [
    { prompt: [user("a"), assistant("b"), user("c")], completion: [assistant("d")] },
    [{ messages: [user("a"), assistant("b"), user("c"), assistant("d")], targets: [3] }],
  ],
  "Alpaca's input follows its instruction": [
    { instruction: "Add.", input: "2, 2", output: "4", system: "Be brief." },
    [{ messages: [system("Be brief."), user("Add.\n\n2, 2"), assistant("4")] }],
  ],
  "Alpaca's input may be empty": [
    { instruction: "Say hi.", input: "", output: "Hi." },
    [{ messages: [user("Say hi."), assistant("Hi.")] }],
  ],
  "Nemotron's post-training rows set the switch and train the output": [
    {
      input: [user("a"), assistant("b"), user("c")],
      output: "<think>\nx\n</think>\n\nd",
      reasoning: "on",
    },
    [{
      reasoning: "on",
      messages: [
        system("detailed thinking on"),
        user("a"),
        assistant("b"),
        user("c"),
        assistant("<think>\nx\n</think>\n\nd"),
      ],
      targets: [4],
    }],
  ],
  "an input with an output is a completion": [
    { input: "2+2=", output: "4", expected_answer: "4" },
    [{ prompt: "2+2=", completion: "4", expected_answer: "4" }],
  ],
  "a question with an answer is a dialogue": [
    { question: "Why?", answer: "Because." },
    [{ messages: [user("Why?"), assistant("Because.")], answer: "Because." }],
  ],
  "a problem with a solution keeps the expected answer": [
    { problem: "2+2", generated_solution: "It is 4.", expected_answer: 4 },
    [{ messages: [user("2+2"), assistant("It is 4.")], answer: "4" }],
  ],
  "a problem with an answer, and a prompt alone, are questions": [
    { problem: "2+2", expected_answer: "4" },
    [{ messages: [user("2+2")], answer: "4" }],
  ],
  "a prompt of messages stays one": [
    { prompt: [system("s"), user("u")], answer: "4" },
    [{ messages: [system("s"), user("u")], answer: "4" }],
  ],
};

for (const [name, [given, rows]] of Object.entries(cases)) {
  Deno.test(name, async () => {
    assert.deepEqual(await rowsOfFile("rows.jsonl", JSON.stringify(given)), rows);
  });
}

/** Fields of a wrong type, and what is said about them. */
const mistakes: readonly [given: unknown, message: string][] = [
  [{ messages: "Hi" }, '"messages" is a text. Make it a list.'],
  [{ messages: [] }, '"messages" has no messages. Give at least one.'],
  [{ messages: ["Hi"] }, '"messages[0]" is a text. Make it an object with role and content.'],
  [{ messages: [{ content: "Hi" }] }, '"messages[0].role" is missing. Make it a text.'],
  [
    { messages: [{ role: "user", content: 5 }] },
    '"messages[0].content" is a number. Make it a list.',
  ],
  [
    { conversations: [{ from: "bird", value: "tweet" }] },
    '"conversations[0].from" is "bird". ' +
    "Make it one of system, human, user, gpt, assistant, function_call, observation, tool.",
  ],
  [{ conversations: [{ from: "gpt" }] }, '"conversations[0].value" is missing. Make it a text.'],
  [
    { prompt: "a", completion: [] },
    '"prompt" is a text, "completion" is a list. ' +
    "Make both of them texts, or both of them lists of messages.",
  ],
  [{ instruction: "a", output: {} }, '"output" is an object. Make it a text.'],
  [{ question: 1, answer: "a" }, '"question" is a number. Make it a text.'],
  [{ text: true }, '"text" is a boolean. Make it a text.'],
];

for (const [given, message] of mistakes) {
  Deno.test(`a wrong type is named: ${message}`, async () => {
    await assert.rejects(rowsOfFile("rows.jsonl", JSON.stringify(given)), (error: Error) => {
      assert.equal(error.name, "RowError");
      assert.ok(error.message.endsWith(`rows.jsonl, line 1: ${message}`), error.message);
      return true;
    });
  });
}

const sharedFiles: readonly [path: string, detected: string][] = [
  ["instruct/rasbt-instruct/instruction-data.json", "JSON array, 1100 rows, Alpaca instructions"],
  [
    "instruct/sft-extra/glaive_toolcall_en_demo.json",
    "JSON array, 300 rows, ShareGPT conversations",
  ],
  ["instruct/sft-extra/v1_sft_demo.jsonl", "JSON Lines, 500 rows, messages"],
  ["math/nemo-skills-samples/openmathinstruct2.test", "JSON Lines, 100 rows, problem and solution"],
  ["math/nemo-skills-samples/small-sft-data.test", "JSON Lines, 10 rows, input and output"],
  ["text/wizard-of-oz/wizard_of_oz.txt", "plain text, 16 rows, text"],
];

for (const [path, detected] of sharedFiles) {
  sharedTest(`${path} is read whole as ${detected}`, [path], async () => {
    const told: string[] = [];
    using rows = await openRows([sharedPath(path)], { tell: (line) => told.push(line) });
    assert.deepEqual(told, [`${sharedPath(path)}: ${detected}`]);
    const all = await readAll(rows);
    assert.equal(all.length, rows.count);
    assert.ok(all.every((row) => rowTexts(row).every((text) => text.length >= 0)));
  });
}
