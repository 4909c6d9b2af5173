import assert from "node:assert/strict";
import { configDocs, configPage } from "../../tools/config_docs.ts";

Deno.test("docs/config.md says what the schemas say", () => {
  assert.equal(
    Deno.readTextFileSync(configDocs),
    configPage(),
    "docs/config.md is out of date. Run deno run -A tools/config_docs.ts.",
  );
});
