import assert from "node:assert/strict";
import { opDocs, opPage } from "../../tools/op_docs.ts";

Deno.test("docs/ops.md says what the ops say", () => {
  assert.equal(
    Deno.readTextFileSync(opDocs),
    opPage(),
    "docs/ops.md is out of date. Run deno run -A tools/op_docs.ts.",
  );
});
