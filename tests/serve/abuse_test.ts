/**
 * Many clients, and broken ones. Bounded in time and on loopback; DENOTRON_ABUSE=30 makes the crowd stay for 30 seconds.
 */
import assert from "node:assert/strict";
import { defaultLimits } from "../../serve/mod.ts";
import { eventsOf, eventually, type RunningServer, withServer } from "./support.ts";

const crowdSeconds = Number(Deno.env.get("DENOTRON_ABUSE") ?? 2);
const request = { prompt: "Once", max_tokens: 8, ignore_eos: true, stream: true };

/** The server still works, and nothing is left of what was. */
async function assertHealthy({ post, host, figure }: RunningServer): Promise<void> {
  await eventually(() => host.running === 0, "the engine is free", 30_000);
  await eventually(async () => await figure("num_requests") === 0, "the server is free");
  const response = await post("/v1/completions", { prompt: "Once", max_tokens: 4 });
  assert.equal(response.status, 200);
  assert.ok((await response.json()).choices[0].text.length > 0);
  await eventually(async () => await figure("num_requests_running") === 0, "no sequence runs");
}

/** Opens a connection and writes something on it. */
async function connect(url: string, text: string): Promise<Deno.TcpConn> {
  const { hostname, port } = new URL(url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(new TextEncoder().encode(text));
  return connection;
}

Deno.test("a crowd of 1,000 streaming clients is served or told to come back, nothing is lost", () =>
  withServer(async (server) => {
    const end = performance.now() + 1000 * crowdSeconds;
    let served = 0, refused = 0;
    const client = async (): Promise<void> => {
      do {
        const response = await server.post("/v1/completions", request);
        if (response.status === 503) {
          assert.ok(Number(response.headers.get("retry-after")) >= 1);
          await response.body?.cancel();
          refused++;
          await new Promise((resolve) => setTimeout(resolve, 200));
        } else {
          const { events, done } = await eventsOf(response);
          const last = events.at(-1) as { choices: { finish_reason: string }[] };
          assert.equal(last.choices[0].finish_reason, "length", JSON.stringify(last));
          assert.ok(done);
          served++;
        }
      } while (performance.now() < end);
    };
    const before = Deno.memoryUsage().rss;
    await Promise.all(Array.from({ length: 1000 }, client));
    console.log(
      `${served} answers, ${refused} refusals in ${crowdSeconds} s, ` +
        `${Math.round((Deno.memoryUsage().rss - before) / 1e6)} MB more`,
    );
    assert.ok(served > 0);
    await assertHealthy(server);
  }));

Deno.test("200 clients that vanish in mid-stream leave no sequence and no block behind", () =>
  withServer(async (server) => {
    await Promise.all(Array.from({ length: 200 }, async () => {
      const body = JSON.stringify({ ...request, max_tokens: 400 });
      const connection = await connect(
        server.url,
        `POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
          `Content-Length: ${body.length}\r\n\r\n${body}`,
      );
      await connection.read(new Uint8Array(512));
      connection.close();
    }));
    await assertHealthy(server);
  }));

for (const [when, stallMs] of [["the engine works", 300], ["it has finished", 3000]] as const) {
  Deno.test(`a client that does not read is given up, others are not held up: ${when}`, () =>
    withServer(async (server) => {
      // More than sockets hold by themselves.
      const body = JSON.stringify({
        messages: [{ role: "user", content: "Once" }],
        ignore_eos: true,
        stream: true,
        logprobs: true,
        top_logprobs: 20,
        n: 12,
      });
      using _deaf = await connect(
        server.url,
        `POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
          `Content-Length: ${body.length}\r\n\r\n${body}`,
      );
      const response = await server.post("/v1/completions", request);
      assert.ok((await eventsOf(response)).done);
      await assertHealthy(server);
      await eventually(
        () =>
          server.log.filter(({ fields }) => fields.finish_reason === "disconnected").length === 1,
        "it is given up",
      );
      assert.ok(server.log.every(({ event }) => event === "request"), "no defect is told of");
    }, { server: { limits: { ...defaultLimits, stallMs } } }));
}

Deno.test("half-sent headers and bodies hold nothing up", () =>
  withServer(async (server) => {
    const connections = await Promise.all([
      ...Array.from({ length: 100 }, () => connect(server.url, "POST /v1/comple")),
      ...Array.from({ length: 100 }, () =>
        connect(
          server.url,
          "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" +
            'Content-Length: 1000\r\n\r\n{"prompt": ',
        )),
    ]);
    await assertHealthy(server);
    const answer = new Uint8Array(64);
    const count = await connections.at(-1)!.read(answer);
    assert.match(new TextDecoder().decode(answer.subarray(0, count!)), /^HTTP\/1\.1 408/);
    for (const connection of connections) connection.close();
    await assertHealthy(server);
  }, { server: { limits: { ...defaultLimits, bodyTimeoutMs: 500 } } }));

Deno.test("oversized, malformed and deeply nested bodies and wrong keys are refused one by one", () =>
  withServer(async (server) => {
    const key = { authorization: "Bearer right" };
    const send = (body: BodyInit, headers: Record<string, string> = key): Promise<number> =>
      fetch(`${server.url}/v1/completions`, {
        method: "POST",
        body,
        headers: { "content-type": "application/json", ...headers },
      }).then(async (response) => {
        assert.ok("error" in await response.json());
        return response.status;
      });
    for (let round = 0; round < 10; round++) {
      assert.deepEqual(
        await Promise.all([
          send(JSON.stringify({ prompt: "x".repeat(5_000_000) })),
          send("{"),
          send("[".repeat(100_000)),
          send(crypto.getRandomValues(new Uint8Array(1000))),
          send('{"prompt": "a", "temperature": 1e999}'),
          send("{}", { authorization: "Bearer wrong" }),
          send("{}", {}),
          send('"prompt"', { ...key, "content-type": "text/plain" }),
        ]),
        [413, 400, 400, 400, 400, 401, 401, 415],
      );
    }
    assert.equal(await send("{}"), 400);
    assert.equal(server.host.running, 0);
  }, { server: { keys: ["right"] } }));
