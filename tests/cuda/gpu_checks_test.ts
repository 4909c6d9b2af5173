import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { withFolder } from "../nn/specs.ts";
import { cudaTest } from "./support.ts";

interface Finding {
  readonly question: string;
  readonly required: boolean;
  readonly verdict: string;
  readonly text: string;
}

cudaTest(
  "questions about the GPU are answered in a folder, and what results depend on holds",
  () =>
    withFolder(async (folder) => {
      const tool = fileURLToPath(new URL("../../tools/gpu_checks.ts", import.meta.url));
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", tool, folder, "--tiny"],
      }).output();
      const report = new TextDecoder().decode(stderr);
      assert.equal(code, 0, report);
      const { findings } = JSON.parse(Deno.readTextFileSync(join(folder, "checks.json"))) as {
        findings: Finding[];
      };
      const wrong = findings.filter(({ required, verdict }) => required && verdict !== "yes");
      assert.deepEqual(wrong, []);
      const page = Deno.readTextFileSync(join(folder, "checks.md"));
      for (const { question } of findings) assert.ok(page.includes(question), question);
    }),
);
