import assert from "node:assert/strict";
import { EventStream } from "../../serve/event_stream.ts";
import { eventually } from "./support.ts";

const options = { heartbeatMs: 10_000, stallMs: 10_000, onRoom: () => {}, onLost: () => {} };

Deno.test("events go out as they are sent, and an end mark after them", async () => {
  const stream = new EventStream(options);
  const text = stream.response.text();
  stream.send('{"a":1}');
  await Promise.resolve();
  stream.send('{"b":"two\\nlines"}');
  stream.end();
  assert.equal(await text, 'data: {"a":1}\n\ndata: {"b":"two\\nlines"}\n\ndata: [DONE]\n\n');
});

Deno.test("events of the same moment are one piece", async () => {
  const stream = new EventStream(options);
  stream.send("1");
  stream.send("2");
  const reader = stream.body.getReader();
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value), "data: 1\n\ndata: 2\n\n");
  await reader.cancel();
});

Deno.test("a quiet stream shows that it is alive", async () => {
  const stream = new EventStream({ ...options, heartbeatMs: 5 });
  const reader = stream.body.getReader();
  const { value } = await reader.read();
  assert.equal(new TextDecoder().decode(value), ": still here\n\n");
  await reader.cancel();
});

Deno.test("a client that leaves is known at once", async () => {
  let lost = 0;
  const stream = new EventStream({ ...options, onLost: () => lost++ });
  stream.send("{}");
  await stream.body.cancel();
  assert.equal(lost, 1);
  stream.send("{}");
  stream.end();
  assert.equal(lost, 1);
});

Deno.test("a client that takes nothing is waited for, then given up", async () => {
  let lost = 0;
  const stream = new EventStream({ ...options, stallMs: 20, onLost: () => lost++ });
  stream.send("x".repeat(100_000));
  assert.equal(stream.hasRoom, false);
  await Promise.resolve();
  assert.equal(lost, 0);
  await eventually(() => lost === 1, "it is given up");
  assert.ok(stream.hasRoom, "nobody has to wait for who has gone");
  await assert.rejects(stream.response.text());
});

Deno.test("a client that takes everything but the end is given up, too", async () => {
  let lost = 0;
  const stream = new EventStream({ ...options, stallMs: 20, onLost: () => lost++ });
  stream.send("1");
  stream.end();
  await eventually(() => lost === 1, "it is given up");
  await assert.rejects(stream.response.text());
});

Deno.test("who waits for room is told when there is some", async () => {
  let room = 0;
  const stream = new EventStream({ ...options, onRoom: () => room++ });
  const reader = stream.body.getReader();
  stream.send("x".repeat(70_000));
  await Promise.resolve();
  assert.deepEqual([stream.hasRoom, room], [false, 0]);
  await reader.read();
  assert.deepEqual([stream.hasRoom, room], [true, 1]);
  // Who reads already has room for anything.
  const read = reader.read();
  stream.send("x".repeat(70_000));
  assert.equal(stream.hasRoom, false);
  await read;
  assert.deepEqual([stream.hasRoom, room], [true, 2]);
  await reader.cancel();
});
