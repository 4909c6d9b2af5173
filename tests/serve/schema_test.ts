import assert from "node:assert/strict";
import fc from "fast-check";
import { ApiError } from "../../serve/errors.ts";
import { chatRequest, checkRequest, completionRequest } from "../../serve/schema.ts";

const messages = [{ role: "user", content: "Hi" }];

/** The error that a chat request gets. */
function refusal(fields: Record<string, unknown>): ApiError {
  try {
    checkRequest(chatRequest, { messages, ...fields });
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    assert.equal(error.status, 400);
    return error;
  }
  assert.fail(`${JSON.stringify(fields)} was taken`);
}

const refused: readonly [Record<string, unknown>, param: string][] = [
  [{ messages: [] }, "messages"],
  [{ messages: "Hi" }, "messages"],
  [{ messages: [{ role: "robot", content: "Hi" }] }, "messages[0].role"],
  [{ messages: [{ role: "user", content: 3 }] }, "messages[0].content"],
  [
    { messages: [{ role: "user", content: [{ type: "image_url" }] }] },
    "messages[0].content[0].type",
  ],
  [{ temperature: 2.5 }, "temperature"],
  [{ temperature: "warm" }, "temperature"],
  [{ temperature: Infinity }, "temperature"],
  [{ top_p: 0 }, "top_p"],
  [{ n: 0 }, "n"],
  [{ n: 17 }, "n"],
  [{ max_tokens: 0 }, "max_tokens"],
  [{ max_completion_tokens: 1.5 }, "max_completion_tokens"],
  [{ stop: ["a", "b", "c", "d", "e"] }, "stop"],
  [{ top_logprobs: 21 }, "top_logprobs"],
  [{ logit_bias: { word: 1 } }, "logit_bias.word"],
  [{ logit_bias: { "1": 101 } }, "logit_bias.1"],
  [{ stream: "yes" }, "stream"],
];

for (const [fields, param] of refused) {
  Deno.test(`a request with ${Deno.inspect(fields)} is refused by the name of its field`, () => {
    assert.equal(refusal(fields).body.error.param, param);
  });
}

const unsupported: readonly Record<string, unknown>[] = [
  { tools: [{ type: "function", function: { name: "f" } }] },
  { tool_choice: "required" },
  { response_format: { type: "json_object" } },
  { response_format: { type: "json_schema", json_schema: {} } },
  { structured_outputs: { choice: ["a"] } },
  { best_of: 2 },
  { modalities: ["text", "audio"] },
];

for (const fields of unsupported) {
  const [param] = Object.keys(fields);
  Deno.test(`${JSON.stringify(fields)} is known but not supported, and says so`, () => {
    const { error } = refusal(fields).body;
    assert.deepEqual([error.param, error.code], [param, "unsupported_parameter"]);
  });
}

Deno.test("what asks for nothing special is taken: null, unknown fields, empty tools, plain text", () => {
  const request = checkRequest(chatRequest, {
    messages,
    temperature: null,
    stop: null,
    tools: [],
    tool_choice: "none",
    response_format: { type: "text" },
    modalities: ["text"],
    some_new_field: { deep: [1] },
    metadata: { a: "b" },
  });
  assert.equal(request.temperature, 1);
  assert.deepEqual(request.stop, []);
});

Deno.test("a completion takes a text, texts, ids or lists of ids", () => {
  for (const prompt of ["a", ["a", "b"], [1, 2], [[1], [2, 3]]]) {
    assert.deepEqual(checkRequest(completionRequest, { prompt }).prompt, prompt);
  }
  assert.throws(() => checkRequest(completionRequest, { prompt: [[1, -2]] }), ApiError);
  assert.throws(() => checkRequest(completionRequest, {}), ApiError);
});

Deno.test("any JSON is either taken or refused with an error for the client", () => {
  const names = [
    "messages",
    "n",
    "stop",
    "logit_bias",
    "stream_options",
    "tools",
    "seed",
    "__proto__",
  ];
  const body = fc.dictionary(fc.constantFrom(...names), fc.jsonValue());
  fc.assert(fc.property(fc.oneof(body, fc.jsonValue()), (value) => {
    try {
      checkRequest(chatRequest, value);
    } catch (error) {
      assert.ok(error instanceof ApiError, String(error));
    }
  }));
});
