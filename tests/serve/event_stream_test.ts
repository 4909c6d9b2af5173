import assert from "node:assert/strict";
import { ClientLostError, EventStream } from "../../serve/event_stream.ts";

const options = { heartbeatMs: 10_000, stallMs: 10_000, onLost: () => {} };

Deno.test("events go out as they are sent, and an end mark after them", async () => {
  const stream = new EventStream(options);
  const text = stream.response.text();
  await stream.send({ a: 1 });
  await stream.send({ b: "two\nlines" });
  await stream.end();
  assert.equal(await text, 'data: {"a":1}\n\ndata: {"b":"two\\nlines"}\n\ndata: [DONE]\n\n');
});

Deno.test("a quiet stream shows that it is alive", async () => {
  const stream = new EventStream({ ...options, heartbeatMs: 5 });
  const reader = stream.body.getReader();
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value), ": still here\n\n");
  await stream.end();
});

Deno.test("a client that leaves is known at once", async () => {
  let lost = 0;
  const stream = new EventStream({ ...options, onLost: () => lost++ });
  await stream.send({});
  await stream.body.cancel();
  assert.equal(lost, 1);
  await assert.rejects(stream.send({}), ClientLostError);
  await stream.end();
  assert.equal(lost, 1);
});

Deno.test("a client that takes nothing is waited for, then given up", async () => {
  let lost = 0;
  const stream = new EventStream({ ...options, stallMs: 20, onLost: () => lost++ });
  const big = { text: "x".repeat(100_000) };
  await assert.rejects(async () => {
    for (let i = 0; i < 10; i++) await stream.send(big);
  }, ClientLostError);
  assert.equal(lost, 1);
});

Deno.test("several who write at once all go on when there is room", async () => {
  const stream = new EventStream(options);
  const text = "x".repeat(70_000);
  const writers = [1, 2, 3].map(() => stream.send({ text }));
  const reading = stream.response.text();
  await Promise.all(writers);
  await stream.end();
  assert.equal((await reading).split("data: ").length, 5);
});

Deno.test("a client that leaves while an event is handed to it does not hold up who writes", async () => {
  const stream = new EventStream(options);
  const big = { text: "x".repeat(100_000) };
  const reader = stream.body.getReader();
  const read = reader.read();
  const left = read.then(() => reader.cancel());
  await assert.rejects(async () => {
    for (let i = 0; i < 3; i++) await stream.send(big);
  }, ClientLostError);
  await left;
});
