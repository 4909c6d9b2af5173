/** Routes, limits and the orderly end of the server, over a socket. */
import assert from "node:assert/strict";
import { defaultLimits, type ServerLimits } from "../../serve/mod.ts";
import { eventsOf, eventually, withServer } from "./support.ts";

const messages = [{ role: "user", content: "Once upon a time" }];
const long = { prompt: "Once", max_tokens: 300, ignore_eos: true, stream: true };

function limits(changed: Partial<ServerLimits>): { server: { limits: ServerLimits } } {
  return { server: { limits: { ...defaultLimits, ...changed } } };
}

Deno.test("probes, models and figures can be read", () =>
  withServer(async ({ url, figure }) => {
    const read = async (path: string): Promise<unknown> => {
      const response = await fetch(url + path);
      assert.equal(response.status, 200, path);
      return await response.json();
    };
    assert.deepEqual(await read("/health"), { status: "ok", state: "ready" });
    assert.deepEqual(await read("/ready"), { status: "ready" });
    const { data } = await read("/v1/models") as { data: { id: string; max_model_len: number }[] };
    assert.equal(data[0].id, "tiny");
    assert.ok(data[0].max_model_len > 0);
    const document = await read("/openapi.json") as { openapi: string; paths: object };
    assert.equal(document.openapi, "3.1.0");
    assert.ok("/v1/chat/completions" in document.paths);
    assert.equal(await figure("num_requests"), 0);
  }));

Deno.test("unknown paths, methods and models say what is wrong", () =>
  withServer(async ({ url, post }) => {
    const body = { messages, max_tokens: 1 };
    const codes: [Promise<Response>, number, string][] = [
      [fetch(`${url}/v1/nothing`), 404, "unknown_url"],
      [fetch(`${url}/v1/chat/completions`), 405, "method_not_allowed"],
      [fetch(`${url}/v1/models/other`), 404, "model_not_found"],
      [post("/v1/chat/completions", { ...body, model: "other" }), 404, "model_not_found"],
      [post("/v1/chat/completions", { ...body, tools: [{}] }), 400, "unsupported_parameter"],
      [post("/v1/completions", { prompt: [10_000_000] }), 400, "invalid_value"],
    ];
    for (const [response, status, code] of codes) {
      const answered = await response;
      assert.equal(answered.status, status);
      assert.equal((await answered.json()).error.code, code);
      assert.equal(answered.headers.get("x-should-retry"), "false");
    }
  }));

Deno.test("a prompt and its answer must fit the context, both numbers are named", () =>
  withServer(async ({ post, server }) => {
    const { context } = server.description!;
    const response = await post("/v1/completions", { prompt: [1, 2, 3], max_tokens: context });
    const { error } = await response.json();
    assert.equal(error.code, "context_length_exceeded");
    assert.ok(
      error.message.includes(String(context)) && error.message.includes(String(context + 3)),
    );
    const fits = await post("/v1/completions", { prompt: [1, 2, 3], max_tokens: 1 });
    assert.equal(fits.status, 200);
    await fits.body?.cancel();
  }));

Deno.test("a name for a request comes back, a bad one is replaced", () =>
  withServer(async ({ url, log }) => {
    const names = ["mine-1", "x".repeat(200), 'a"b'];
    const given = await Promise.all(names.map(async (name) => {
      const response = await fetch(`${url}/v1/models`, { headers: { "x-request-id": name } });
      await response.body?.cancel();
      return response.headers.get("x-request-id")!;
    }));
    assert.equal(given[0], "mine-1");
    assert.ok(given.slice(1).every((id) => /^[\w-]{36}$/.test(id)));
    assert.ok(log.some(({ fields }) => fields.id === "mine-1" && fields.status === 200));
  }));

Deno.test("the log tells of requests, and nothing of what was asked or answered", () =>
  withServer(async ({ post, log }) => {
    await (await post("/v1/completions", { prompt: "a secret", max_tokens: 4 })).json();
    await (await post("/v1/completions", { prompt: "a secret", max_tokens: 4, stream: true }))
      .text();
    await eventually(() => log.length === 2, "both are logged");
    for (const { event, fields } of log) {
      assert.equal(event, "request");
      assert.ok(Number(fields.prompt_tokens) > 0 && Number(fields.completion_tokens) > 0);
    }
    assert.ok(!JSON.stringify(log).includes("secret"));
  }));

Deno.test("the reasoning switch reaches the template, and thinking comes apart", () =>
  withServer(async ({ post }) => {
    const tokens = async (fields: object): Promise<number[]> =>
      (await (await post("/tokenize", { messages, ...fields })).json()).tokens;
    const detokenize = async (ids: number[]): Promise<string> =>
      (await (await post("/detokenize", { tokens: ids })).json()).prompt;
    assert.ok((await detokenize(await tokens({}))).includes("Once upon a time"));
    for (
      const [fields, on] of [
        [{ chat_template_kwargs: { enable_thinking: true } }, true],
        [{ reasoning_effort: "none" }, false],
        [{ reasoning_effort: "high" }, true],
      ] as const
    ) {
      const request = { messages, max_tokens: 1, ...fields };
      const { usage } = await (await post("/v1/chat/completions", request)).json();
      const switched = [
        { role: "system", content: `detailed thinking ${on ? "on" : "off"}` },
        ...messages,
      ];
      assert.equal(usage.prompt_tokens, (await tokens({ messages: switched })).length);
    }
  }));

Deno.test("a full server answers every request, and says when to come back", () =>
  withServer(async ({ post, host }) => {
    const responses = await Promise.all(
      Array.from({ length: 20 }, () => post("/v1/completions", long)),
    );
    const refused = responses.filter(({ status }) => status === 503);
    assert.equal(refused.length, 16);
    for (const response of refused) {
      assert.ok(Number(response.headers.get("retry-after")) >= 1);
      assert.equal(response.headers.get("x-should-retry"), "true");
    }
    const all = await Promise.all(responses.map((response) => response.text()));
    assert.equal(all.filter((text) => text.endsWith("data: [DONE]\n\n")).length, 4);
    assert.equal(host.running, 0);
  }, limits({ maxRequests: 4 })));

Deno.test("a key has its own limit", () =>
  withServer(async ({ post }) => {
    const ask = (key: string): Promise<Response> =>
      post("/v1/completions", long, { headers: { authorization: `Bearer ${key}` } });
    const first = await ask("a"), second = await ask("a"), other = await ask("b");
    assert.deepEqual([first.status, second.status, other.status], [200, 429, 200]);
    await Promise.all([first, second, other].map((response) => response.text()));
  }, { server: { keys: ["a", "b"], limits: { ...defaultLimits, maxRequestsPerKey: 1 } } }));

Deno.test("a request that takes too long ends with an error, streamed or not", () =>
  withServer(async ({ post, host }) => {
    const whole = await post("/v1/completions", { ...long, stream: false });
    assert.equal(whole.status, 503);
    assert.equal((await whole.json()).error.code, "timeout");
    const { events, done } = await eventsOf(await post("/v1/completions", long));
    assert.equal((events.at(-1) as { error: { code: string } }).error.code, "timeout");
    assert.ok(done);
    assert.equal(host.running, 0);
  }, limits({ requestTimeoutMs: 20 })));

Deno.test("clients that vanish leave nothing behind", () =>
  withServer(async ({ url, host, figure }) => {
    const vanish = async (stream: boolean): Promise<void> => {
      const leave = new AbortController();
      const response = fetch(`${url}/v1/completions`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...long, stream }),
        signal: leave.signal,
      });
      if (stream) {
        const reader = (await response).body!.getReader();
        await reader.read();
        leave.abort();
        await reader.closed.catch(() => {});
      } else {
        await eventually(() => host.running > 0, "it runs");
        leave.abort();
        await response.catch(() => {});
      }
    };
    for (const stream of [true, false]) {
      await Promise.all(Array.from({ length: 10 }, () => vanish(stream)));
      await eventually(() => host.running === 0, "the engine is free");
      await eventually(async () => await figure("num_requests") === 0, "the server is free");
      await eventually(async () => await figure("num_requests_running") === 0, "no sequence runs");
    }
  }));

Deno.test("shutting down finishes what runs, and takes nothing new", () =>
  withServer(async ({ post, url, shutdown }) => {
    const running = await post("/v1/completions", { ...long, max_tokens: 60 });
    const ended = shutdown(10_000);
    const late = await post("/v1/completions", long);
    assert.equal(late.status, 503);
    assert.equal((await late.json()).error.code, "draining");
    assert.equal((await (await fetch(`${url}/ready`)).json()).status, "draining");
    const { events, done } = await eventsOf(running);
    const reasons = events.map((event) =>
      (event.choices as { finish_reason: string | null }[])[0].finish_reason
    );
    assert.equal(reasons.at(-1), "length");
    assert.ok(done);
    assert.equal(await ended, true);
  }));

Deno.test("shutting down in a hurry cuts answers off and says so", () =>
  withServer(async ({ post, shutdown }) => {
    const running = await post("/v1/completions", long);
    const ended = shutdown(0);
    const { events, done } = await eventsOf(running);
    const { choices } = events.at(-1) as { choices: { finish_reason: string }[] };
    assert.equal(choices[0].finish_reason, "abort");
    assert.ok(done);
    assert.equal(await ended, false);
  }));

Deno.test("a model that cannot be loaded is told by /health, and requests are refused", () =>
  withServer(async () => {}, { engine: { model: "/nowhere/at/all" } }).then(
    () => assert.fail("it was ready"),
    (error: Error) => assert.match(error.message, /nowhere/),
  ));

Deno.test("other origins are let in only when they are named", async () => {
  const allowed = (url: string): Promise<string | null> =>
    fetch(`${url}/v1/models`, { headers: { origin: "https://page.example" } }).then(
      async (response) => {
        await response.body?.cancel();
        return response.headers.get("access-control-allow-origin");
      },
    );
  await withServer(async ({ url }) => assert.equal(await allowed(url), null));
  await withServer(async ({ url }) => assert.equal(await allowed(url), "https://page.example"), {
    server: { origins: ["https://page.example"] },
  });
});

Deno.test("a connection with half a request does not keep the server from ending", () =>
  withServer(async ({ url, shutdown }) => {
    const { hostname, port } = new URL(url);
    using connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(
      new TextEncoder().encode("POST /v1/completions HTTP/1.1\r\nHost: x\r\n"),
    );
    assert.equal(await shutdown(1000), true);
  }));
