/** Our streams beside those that providers sent, field by field. */
import assert from "node:assert/strict";
import { hasShared, SHARED } from "../nn/specs.ts";
import { eventsOf, withServer } from "./support.ts";

type Shape = Record<string, Set<string>>;

/** Paths and types of all fields. */
function shapeOf(values: readonly unknown[]): Shape {
  const shape: Shape = {};
  const visit = (value: unknown, path: string): void => {
    const type = value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
    (shape[path] ??= new Set()).add(type);
    if (Array.isArray(value)) value.forEach((item) => visit(item, `${path}[]`));
    else if (type === "object") {
      for (const [key, field] of Object.entries(value as object)) visit(field, `${path}.${key}`);
    }
  };
  values.forEach((value) => visit(value, ""));
  return shape;
}

/** What a provider alone has: its own affairs, or what this server does not do. */
const theirs =
  /obfuscation|service_tier|tool_calls|annotations|audio_tokens|prediction_tokens|citations|prompt_cache_|num_sources_used|cost|text_tokens|image_tokens/;
/** What we have beside the official fields, or what is optional there and older models leave out. */
const ours =
  /timings|stop_reason|^\.choices\[\]\.(delta|message)\.reasoning$|tokens_details|system_fingerprint/;

/** What is different, in words. */
function differences(own: Shape, other: Shape): string[] {
  const found: string[] = [];
  for (const [path, types] of Object.entries(other)) {
    if (theirs.test(path)) continue;
    if (!(path in own)) found.push(`they have ${path} (${[...types]}), we do not`);
    else if (![...types].some((type) => own[path].has(type))) {
      found.push(`${path} is ${[...types]} there, ${[...own[path]]} here`);
    }
  }
  for (const path of Object.keys(own)) {
    if (!(path in other) && !ours.test(path)) found.push(`we have ${path}, they do not`);
  }
  return found;
}

function recorded(name: string): unknown[] {
  const text = Deno.readTextFileSync(new URL(`serving/openai-sse/${name}`, SHARED));
  if (name.endsWith(".json")) return [JSON.parse(text)];
  return text.split("\n").filter((line) => line.trim() !== "").map((line) => JSON.parse(line));
}

const chat = {
  messages: [{ role: "user", content: "Once upon a time" }],
  max_tokens: 12,
  stream: true,
  stream_options: { include_usage: true },
};
const cases: readonly { file: string; path: string; body: object }[] = [
  { file: "openai-text.chunks.txt", path: "/v1/chat/completions", body: chat },
  { file: "openai-text.json", path: "/v1/chat/completions", body: { ...chat, stream: false } },
  {
    file: "openai-completion-text.chunks.txt",
    path: "/v1/completions",
    body: { prompt: "Once", max_tokens: 12, stream: true, stream_options: { include_usage: true } },
  },
];

for (const { file, path, body } of cases) {
  Deno.test({
    name: `${path} has the fields of ${file}`,
    ignore: !hasShared(`serving/openai-sse/${file}`),
    fn: () =>
      withServer(async ({ post }) => {
        const response = await post(path, body);
        const streamed = (body as { stream?: boolean }).stream === true;
        const own = streamed ? (await eventsOf(response)).events : [await response.json()];
        const found = differences(shapeOf(own), shapeOf(recorded(file)));
        for (const line of found) console.log(`${file}: ${line}`);
        assert.deepEqual(found, []);
      }),
  });
}

Deno.test("a stream begins with the role, ends with a reason, then usage, then the end mark", () =>
  withServer(async ({ post }) => {
    const { events, done } = await eventsOf(await post("/v1/chat/completions", chat));
    type Chunk = {
      choices: { delta: { role?: string }; finish_reason: unknown }[];
      usage: unknown;
    };
    const chunks = events as unknown as Chunk[];
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.ok(chunks.slice(0, -2).every(({ choices }) => choices[0].finish_reason === null));
    assert.ok(chunks.slice(0, -1).every(({ usage }) => usage === null));
    assert.notEqual(chunks.at(-2)!.choices[0].finish_reason, null);
    assert.deepEqual(chunks.at(-1)!.choices, []);
    assert.ok(chunks.at(-1)!.usage);
    assert.ok(done);
  }));
