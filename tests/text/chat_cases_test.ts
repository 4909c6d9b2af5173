import assert from "node:assert/strict";
import { ChatTemplate, type RenderOptions } from "../../text/mod.ts";
import { sharedJson, sharedTest, sharedText } from "./shared.ts";

/** A template with what it renders to. */
interface Case {
  readonly name: string;
  readonly template: string;
  readonly context: Record<string, unknown>;
  readonly expected: string;
}

/**
 * What Python's Jinja renders (3.1.6) and the library cannot. None of the recorded cases needs these.
 * The test fails when one of them begins to pass, so that the list stays true.
 */
const knownImpossible: readonly Case[] = [
  ["booleans print as in Python", "{{ true }}", "True"],
  ["none prints as in Python", "{{ none }}", "None"],
  ["lists print as in Python", "{{ ['a', 'b'] }}", "['a', 'b']"],
  ["objects print as in Python", "{{ {'a': true} }}", "{'a': True}"],
  ["map applies a filter", "{{ [1, 2] | map('string') | join(',') }}", "1,2"],
  ["strings repeat", "{{ 'a' * 3 }}", "aaa"],
  ["strings format with %", "{{ '%s!' % 'a' }}", "a!"],
  ["strings format with a filter", "{{ '%s' | format('a') }}", "a"],
  ["strings are centred", "{{ 'abc' | center(5) }}", " abc "],
  ["lists are summed", "{{ [1, 2, 3] | sum }}", "6"],
].map(([name, template, expected]) => ({ name, template, expected, context: {} }));

/** The recorded outputs of `strftime_now` are of this moment. */
const recordedAt = Date.UTC(2025, 6, 10, 12);

function withDate<Result>(moment: number, body: () => Result): Result {
  const real = globalThis.Date;
  globalThis.Date = class extends real {
    constructor(...parts: [] | [number]) {
      super(parts[0] ?? moment);
    }
  } as DateConstructor;
  try {
    return body();
  } finally {
    globalThis.Date = real;
  }
}

/** Renders with exactly the variables of the case: those that it leaves out are undefined. */
function render({ template, context }: Case): string {
  const { messages, ...variables } = context;
  const absent = {
    documents: undefined,
    add_generation_prompt: undefined,
    bos_token: undefined,
    eos_token: undefined,
  };
  const options: RenderOptions = { ...absent, ...variables } as RenderOptions;
  return withDate(
    recordedAt,
    () => new ChatTemplate(template).render((messages ?? []) as never, options),
  );
}

function outcome(testCase: Case): string {
  try {
    const text = render(testCase);
    return text === testCase.expected ? "passes" : `gives ${JSON.stringify(text)}`;
  } catch (error) {
    return String(error);
  }
}

const sources: readonly (readonly [string, number])[] = [
  ["serving/hf-jinja-tests/chat_templates_e2e.json", 53],
  ["serving/hf-jinja-tests/templates_unit.json", 157],
  ["serving/nemotron-templates/rendered_cases.json", 6],
];

for (const [path, count] of sources) {
  sharedTest(`all ${count} cases of ${path} render as recorded`, [path], () => {
    const cases = sharedJson<Case[]>(path).map((row) =>
      row.template.endsWith(".jinja")
        ? { ...row, template: sharedText(`serving/nemotron-templates/${row.template}`) }
        : row
    );
    assert.equal(cases.length, count);
    for (const testCase of cases) assert.equal(outcome(testCase), "passes", testCase.name);
  });
}

for (const testCase of knownImpossible) {
  Deno.test(`known gap of the Jinja library: ${testCase.name}`, () => {
    assert.notEqual(outcome(testCase), "passes", "the gap is closed: take it off the list");
  });
}
