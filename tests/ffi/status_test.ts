import { check, NativeError } from "@denotron/denotron/ffi";
import assert from "node:assert/strict";

const names = {
  1: { name: "OUT_OF_MEMORY", hint: "Use a smaller batch." },
  2: { name: "INDEX_OUT_OF_RANGE" },
};

Deno.test("a status of zero is success", () => {
  assert.equal(check(0, "matmul_f32", names), undefined);
});

Deno.test("a known status is named and says what to do", () => {
  assert.throws(() => check(1, "matmul_f32", names), {
    name: "NativeError",
    message: "matmul_f32: native call failed, OUT_OF_MEMORY (1). Use a smaller batch.",
    call: "matmul_f32",
    code: 1,
    status: "OUT_OF_MEMORY",
    hint: "Use a smaller batch.",
  });
  assert.throws(() => check(2, "embedding_f32", names), {
    message: "embedding_f32: native call failed, INDEX_OUT_OF_RANGE (2).",
  });
});

Deno.test("an unknown status keeps its number", () => {
  assert.throws(
    () => check(-7, "matmul_f32"),
    new NativeError("matmul_f32", -7, "unknown status", ""),
  );
});
