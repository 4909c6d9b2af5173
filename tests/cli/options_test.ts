/** The option table: parsing, checking, help. */
import assert from "node:assert/strict";
import { helpOf } from "../../cli/help.ts";
import {
  bytes,
  choice,
  type Command,
  flag,
  integer,
  number,
  parseOptions,
  path,
  required,
  text,
  texts,
} from "../../cli/options.ts";
import { editDistance, nearest } from "../../text/spelling.ts";
import { runScript } from "../ffi/support.ts";

const module = new URL("../../cli/options.ts", import.meta.url).href;

const options = {
  model: required(text("MODEL", "What to run")),
  maxTokens: integer("N", "The most tokens", { min: 1, max: 9, fallback: 5 }),
  topP: number("X", "Share", { min: 0.1, max: 1, fallback: undefined }),
  stop: texts("TEXT", "Ends it"),
  dtype: choice(["f32", "bf16"], "Type"),
  file: path("FILE", "A file"),
  size: bytes("SIZE", "A size"),
  json: flag("JSON"),
};
const command: Command<typeof options> = {
  name: "try",
  summary: "Tries options.",
  options,
  examples: ["--model x"],
};
const parse = (...args: string[]) => parseOptions(command, args);

Deno.test("options are read by their names, with = or a space, after the -- of deno task", () => {
  const values = parse(
    ..."-- --model=m --max-tokens 3 --stop a --stop=b --json --size 2GB".split(" "),
  );
  assert.deepEqual(values, {
    model: "m",
    maxTokens: 3,
    topP: undefined,
    stop: ["a", "b"],
    dtype: undefined,
    file: undefined,
    size: 2e9,
    json: true,
  });
});

Deno.test("values may begin with a dash or be empty, and the last of several counts", () => {
  assert.equal(parse("--model", "- a list")?.model, "- a list");
  assert.equal(parse("--model=--json")?.model, "--json");
  assert.equal(parse("--model", "")?.model, "");
  assert.equal(parse("--model", "a", "--model", "b")?.model, "b");
});

Deno.test("sizes are powers of 1000, or of 1024 with an i", () => {
  const size = (written: string) => parse("--model", "m", "--size", written)?.size;
  assert.deepEqual(["7", "1.5kB", "200MB", "2GiB", "3g"].map(size), [7, 1500, 2e8, 2 ** 31, 3e9]);
});

Deno.test("--help and -h ask for help whatever else is missing", () => {
  assert.equal(parse("--help"), null);
  assert.equal(parse("-h"), null);
});

Deno.test("paths are those of the folder that deno task was started in", async () => {
  const script = `import { parseOptions, path } from ${JSON.stringify(module)};
    const options = { file: path("FILE", "A file") };
    const command = { name: "try", summary: "Tries options.", options, examples: [] };
    for (const file of ["a/../b", "/abs"]) console.log(parseOptions(command, ["--file", file]).file);`;
  const { stdout } = await runScript(script, { INIT_CWD: "/somewhere" });
  assert.equal(stdout, "/somewhere/b\n/abs");
});

const mistakes: readonly (readonly [args: string, message: string])[] = [
  [
    "--modle x",
    "try: there is no option --modle. Did you mean --model? See --help for all options.",
  ],
  [
    "--max_tokens 3",
    "try: there is no option --max_tokens. Did you mean --max-tokens? See --help for all options.",
  ],
  [
    "--max 3",
    "try: there is no option --max. Did you mean --max-tokens? See --help for all options.",
  ],
  ["--zzzzzz", "try: there is no option --zzzzzz. See --help for all options."],
  ["--max-tokens 3", "try: --model is missing. Give it a MODEL, or see --help."],
  ["--model", "try: --model needs a value. Give --model MODEL, or see --help."],
  ["--model --json", "try: --model needs a value. Give --model MODEL, or see --help."],
  ["--model m --json=yes", 'try: --json takes no value, "yes" given. Leave it out.'],
  [
    "--model m more",
    'try: "more" belongs to no option. Quote values that have spaces, or see --help.',
  ],
  [
    "--model m --max-tokens 0",
    'try: --max-tokens must be a whole number from 1 to 9, "0" given. Try 1, or see --help.',
  ],
  [
    "--model m --max-tokens 2.5",
    'try: --max-tokens must be a whole number from 1 to 9, "2.5" given. Try 3, or see --help.',
  ],
  [
    "--model m --max-tokens x",
    'try: --max-tokens must be a whole number from 1 to 9, "x" given. Try 5, or see --help.',
  ],
  [
    "--model m --top-p -1",
    'try: --top-p must be a number from 0.1 to 1, "-1" given. Try 0.1, or see --help.',
  ],
  [
    "--model m --dtype bf17",
    'try: --dtype must be one of f32, bf16, "bf17" given. Try bf16, or see --help.',
  ],
  ["--model m --size big", 'try: --size must be a size, "big" given. Try 2GB, or see --help.'],
];

for (const [args, message] of mistakes) {
  Deno.test(`${args} is answered with what to do`, () => {
    assert.throws(() => parse(...args.split(" ")), { name: "UsageError", message });
  });
}

Deno.test("help names every option and example within the width of the screen", () => {
  const help = helpOf(command, 60);
  for (
    const part of [
      "--model MODEL",
      "(required)",
      "--max-tokens N",
      "(default 5)",
      "--dtype f32|bf16",
    ]
  ) {
    assert.ok(help.includes(part), part);
  }
  assert.ok(help.includes("examples:\n  deno task try --model x"), help);
  assert.deepEqual(help.split("\n").filter((line) => line.length > 60), []);
});

Deno.test("the nearest word is one with few other letters, or one that begins so", () => {
  assert.equal(editDistance("kitten", "sitting"), 3);
  assert.equal(editDistance("", "abc"), 3);
  assert.equal(nearest("temp", ["time", "temperature"]), "temperature");
  assert.equal(nearest("jsno", ["json", "seed"]), "json");
  assert.equal(nearest("xyz", ["json", "seed"]), null);
});
