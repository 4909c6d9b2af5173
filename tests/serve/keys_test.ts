import assert from "node:assert/strict";
import { ApiKeys, parseKeys } from "../../serve/keys.ts";

const keys = new ApiKeys(["first", "second"]);

Deno.test("a key opens the server from either header", () => {
  keys.check(new Headers({ authorization: "Bearer second" }));
  keys.check(new Headers({ authorization: "bearer first " }));
  keys.check(new Headers({ "x-api-key": "first" }));
});

Deno.test("another key, a part of one, or none does not", () => {
  for (const given of ["third", "firs", "first2", "First", ""]) {
    assert.throws(() => keys.check(new Headers({ authorization: `Bearer ${given}` })), {
      name: "ApiError",
      status: 401,
    });
  }
  assert.throws(() => keys.check(new Headers()), /No API key/);
});

Deno.test("a server without keys is open", () => {
  new ApiKeys([]).check(new Headers());
});

Deno.test("keys are told apart without being given away", () => {
  const name = (key: string): string | null => keys.name(new Headers({ "x-api-key": key }));
  assert.notEqual(name("first"), name("second"));
  assert.ok(!name("first")!.includes("first"));
  assert.equal(name("third"), null);
});

Deno.test("a file of keys has one a line", () => {
  assert.deepEqual(parseKeys("# ours\nfirst\r\n\n  second  \n"), ["first", "second"]);
});
