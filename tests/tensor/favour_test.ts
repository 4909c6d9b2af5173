/** What a program can ask of the system's scheduler. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { device } from "../../tensor/mod.ts";

const figures = `/proc/${Deno.pid}/sched`;
const [major, minor] = Deno.osRelease().split(".").map(Number);
const knows = Deno.build.os === "linux" && (major > 6 || (major === 6 && minor >= 12)) &&
  existsSync(figures) && !device().description.startsWith("reference");
if (!knows) console.log("skipped: this system does not tell how long a thread's turns are");

Deno.test({
  name: "a thread's turns become short where the system knows such a wish",
  ignore: !knows,
  fn() {
    device().favour(Deno.pid);
    assert.match(Deno.readTextFileSync(figures), /^se\.slice\s*:\s*100000$/m);
  },
});

Deno.test("a thread that is not there is nobody's concern", () => {
  device().favour(2 ** 31 - 1);
});
