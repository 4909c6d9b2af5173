/**
 * Writes `docs/ops.md`, every op with its meaning and sizes, from the ops themselves: `deno run -A tools/op_docs.ts`.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import type { AnyOp, View, ViewOp } from "../tensor/op.ts";
import { contiguousStrides, type Shape } from "../tensor/layout.ts";
import * as ops from "../tensor/ops/mod.ts";

/** Where the page is. */
export const opDocs: string = fileURLToPath(new URL("../docs/ops.md", import.meta.url));

const folder = new URL("../tensor/ops/", import.meta.url);

/** The page. */
export function opPage(): string {
  const comments = docComments(), all = Object.entries(ops) as [string, AnyOp | ViewOp][];
  const isView = (op: AnyOp | ViewOp): op is ViewOp => "layout" in op;
  const computed = all.flatMap(([name, op]) => isView(op) ? [] : [computedRow(name, op, comments)]);
  const views = all.flatMap(([name, op]) => isView(op) ? [viewRow(name, op, comments)] : []);
  return [
    "# Ops",
    "",
    "Written by `tools/op_docs.ts` from the ops' comments and samples in `tensor/ops`. Users call most of them as methods of `Tensor`;",
    "each is one object that holds its shape rule, a reference that defines it, its C and CUDA kernels, its gradient and the samples that test",
    "all of these: see [how an op is built](../ARCHITECTURE.md). Sizes are those of its first sample, with an element type where it is not",
    "the floating type that is computed in.",
    "",
    "| op | what it is | inputs → outputs | gradient | C | CUDA |",
    "| --- | --- | --- | --- | --- | --- |",
    ...computed,
    "",
    "## Views",
    "",
    "They look at the same memory differently, and copy nothing.",
    "",
    "| op | what it is | input → output |",
    "| --- | --- | --- |",
    ...views,
    "",
    "Losses fused with the head (`linearCrossEntropy`, `linearKl`, `linearLogProbs` and others) and updates of parameters (`adamw`, `sgd`)",
    "are functions over these ops: `deno doc tensor/mod.ts`. Back to [getting started](getting-started.md).",
    "",
  ].join("\n");
}

/** The comment before each `export const`, by name. */
function docComments(): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name } of Deno.readDirSync(folder)) {
    if (!name.endsWith(".ts")) continue;
    const text = Deno.readTextFileSync(new URL(name, folder));
    for (const [, comment, constant] of text.matchAll(commented)) {
      found.set(constant, prose(comment));
    }
  }
  return found;
}

const commented = /\/\*\*((?:(?!\*\/)[^])*)\*\/\nexport const (\w+)/g;

/** A comment as one line of a table. */
function prose(comment: string): string {
  const lines = comment.split("\n").map((line) => line.replace(/^\s*\*? ?/, "").trim());
  const [text] = lines.join(" ").trim().split(/ @\w+|```/);
  return text.replaceAll("|", "\\|").replaceAll(/\s+/g, " ");
}

function computedRow(name: string, op: AnyOp, comments: ReadonlyMap<string, string>): string {
  const { shapes, dtypes, params } = op.samples[0];
  const inputs = shapes.map((shape, i): View => ({
    ...{ shape, strides: contiguousStrides(shape), offset: 0, dtype: dtypes?.[i] ?? "f32" },
  } as View));
  const given = inputs.map((view) => sizes(view.shape, view.dtype));
  const made = op.outputs(inputs, params).map(({ shape, dtype }) => sizes(shape, dtype));
  const does = (has: boolean): string => has ? "yes" : "–";
  return row(
    `\`${name}\``,
    commentOf(name, comments),
    `${given.join(", ")} → ${made.join(", ")}`,
    does(op.vjp !== undefined),
    does(op.kernel !== undefined),
    does(op.kernel?.cuda !== undefined),
  );
}

function viewRow(name: string, op: ViewOp, comments: ReadonlyMap<string, string>): string {
  const [{ shape, params }] = op.samples;
  const { shape: made } = op.layout(
    { shape, strides: contiguousStrides(shape), offset: 0 },
    params,
  );
  return row(`\`${name}\``, commentOf(name, comments), `${sizes(shape)} → ${sizes(made)}`);
}

function commentOf(name: string, comments: ReadonlyMap<string, string>): string {
  const comment = comments.get(name);
  if (comment !== undefined) return comment;
  throw new Error(`op docs: ${name} has no comment before its export. Write one.`);
}

function sizes(shape: Shape, dtype = "f32"): string {
  return `[${shape.join(", ")}]${dtype === "f32" ? "" : ` ${dtype}`}`;
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}

if (import.meta.main) Deno.writeTextFileSync(opDocs, opPage());
