import assert from "node:assert/strict";
import { readJson } from "../../serve/body.ts";
import { ApiError } from "../../serve/errors.ts";

const limits = { maxBodyBytes: 1000, bodyTimeoutMs: 50 };

function post(body: BodyInit, headers: Record<string, string> = {}): Request {
  return new Request("http://localhost/", {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...headers },
  });
}

async function statusOf(request: Request): Promise<number> {
  try {
    await readJson(request, limits);
    return 200;
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    return error.status;
  }
}

Deno.test("JSON is read, whatever its type is called", async () => {
  assert.deepEqual(await readJson(post('{"a": [1, "}"]}'), limits), { a: [1, "}"] });
  const type = { "content-type": "application/vnd.api+json; charset=utf-8" };
  assert.deepEqual(await readJson(post("[]", type), limits), []);
});

Deno.test("what is no JSON is refused", async () => {
  assert.equal(await statusOf(post("{")), 400);
  assert.equal(await statusOf(post("")), 400);
  assert.equal(await statusOf(post(Uint8Array.of(0xff, 0xfe))), 400);
  assert.equal(await statusOf(post("{}", { "content-type": "text/plain" })), 415);
});

Deno.test("a body that is too long is refused, whether it says so or not", async () => {
  assert.equal(await statusOf(post(JSON.stringify("x".repeat(1000)))), 413);
  const chunks = ReadableStream.from(Array.from({ length: 20 }, () => new Uint8Array(100)));
  assert.equal(await statusOf(post(chunks)), 413);
});

Deno.test("deep nesting is refused before it is parsed, brackets in texts do not count", async () => {
  assert.equal(await statusOf(post("[".repeat(400) + "]".repeat(400))), 400);
  assert.equal(await statusOf(post(JSON.stringify({ a: '[[[{{{\\"'.repeat(60) }))), 200);
});

Deno.test("a body that does not arrive is given up", async () => {
  const never = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });
  assert.equal(await statusOf(post(never)), 408);
});
