/**
 * Answers what only a GPU can answer, with figures, as Markdown and JSON: `deno task check:gpu [FOLDER] [--tiny]`.
 *
 * FOLDER is `gpu-report` by default. `--tiny` takes sizes for the simulated GPU. The exit code is 1 when an answer is not what
 * results depend on, 2 when there is no GPU.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { missingGpu } from "../bench/gpu/mod.ts";
import { device } from "../tensor/mod.ts";
import { attention } from "./gpu_checks/attention.ts";
import { capture, launches, nonblocking } from "./gpu_checks/calls.ts";
import type { Answer, Check, Subject } from "./gpu_checks/check.ts";
import { answer } from "./gpu_checks/check.ts";
import { collectives } from "./gpu_checks/collectives.ts";
import { fp8 } from "./gpu_checks/fp8.ts";
import { builtins, compiler, libraries } from "./gpu_checks/libraries.ts";
import { ceilings, sharedContext, values } from "./gpu_checks/values.ts";

/** In the order of docs/gpu.md. */
const checks: readonly Check[] = [
  libraries,
  sharedContext,
  compiler,
  builtins,
  values,
  fp8,
  nonblocking,
  launches,
  capture,
  attention,
  collectives,
  ceilings,
];

/** A question and what was found. */
interface Finding extends Answer {
  readonly number: number;
  readonly question: string;
  readonly required: boolean;
}

/** Asks; an error is a no. */
async function ask(
  { question, required, run }: Check,
  number: number,
  subject: Subject,
): Promise<Finding> {
  let found: Answer;
  try {
    found = await run(subject);
  } catch (error) {
    found = answer(false, (error as Error).message);
  }
  console.error(`${number}. ${question} ${found.verdict}: ${found.text}`);
  return { number, question, required, ...found };
}

/** The page for people. */
function page(name: string, findings: readonly Finding[]): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");
  const rows = findings.map(({ number, question, verdict, text }) =>
    `| ${number} | ${cell(question)} | ${verdict} | ${cell(text)} |`
  );
  const figures = findings.flatMap(({ number, figures }) =>
    Object.entries(figures).map(([figure, value]) =>
      `| ${number} | ${figure} | ${cell(`${value}`)} |`
    )
  );
  return [
    ...[`# ${name}`, "", "| | question | answer | |", "| --- | --- | --- | --- |", ...rows, ""],
    ...["| | figure | value |", "| --- | --- | --- |", ...figures, ""],
  ].join("\n");
}

const { values: { tiny }, positionals: [folder = "gpu-report"] } = parseArgs({
  args: Deno.args,
  allowPositionals: true,
  options: { tiny: { type: "boolean", default: false } },
});
const missing = missingGpu();
if (missing !== "") {
  console.error(`check:gpu: there is no GPU to ask. ${missing}`);
  Deno.exit(2);
}
Deno.env.set("DENOTRON_DEVICE", "cuda");
const { name } = device("cuda").description.device;
const subject: Subject = { simulated: name.startsWith("simulated"), tiny };
const findings: Finding[] = [];
for (const [i, check] of checks.entries()) findings.push(await ask(check, i + 1, subject));
Deno.mkdirSync(folder, { recursive: true });
Deno.writeTextFileSync(join(folder, "checks.md"), page(name, findings));
Deno.writeTextFileSync(
  join(folder, "checks.json"),
  JSON.stringify({ device: name, findings }, null, 2),
);
console.error(`Written to ${folder}`);
Deno.exit(findings.some(({ required, verdict }) => required && verdict === "no") ? 1 : 0);
