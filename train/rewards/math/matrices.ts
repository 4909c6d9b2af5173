/**
 * Sums and products of matrices.
 *
 * @module
 */
import { exactValue } from "./evaluate.ts";
import { call, type MathExpression, partsOf } from "./expression.ts";

/** Rows of entries. */
export type Matrix = Extract<MathExpression, { kind: "matrix" }>;

/** The matrix that an expression is, or computes from others; null for what is none. */
export function matrixOf(expression: MathExpression): Matrix | null {
  if (expression.kind === "matrix") return expression;
  if (expression.kind !== "call") return null;
  const [a, b] = expression.arguments;
  switch (expression.name) {
    case "negate": {
      const inside = matrixOf(a);
      return inside && entrywise(inside, (entry) => call("negate", entry));
    }
    case "add":
      return sum(matrixOf(a), matrixOf(b));
    case "multiply":
      return product(a, b);
    case "divide": {
      const inside = matrixOf(a);
      return inside && entrywise(inside, (entry) => call("divide", entry, b));
    }
    case "power":
      return b.kind === "symbol" && b.name === "T" ? transpose(matrixOf(a)) : null;
    default:
      return null;
  }
}

function entrywise(matrix: Matrix, change: (entry: MathExpression) => MathExpression): Matrix {
  return { kind: "matrix", rows: matrix.rows.map((row) => row.map(change)) };
}

function sum(left: Matrix | null, right: Matrix | null): Matrix | null {
  if (!left || !right || left.rows.length !== right.rows.length) return null;
  if (left.rows.some((row, i) => row.length !== right.rows[i].length)) return null;
  const rows = left.rows.map((row, i) =>
    row.map((entry, j) => call("add", entry, right.rows[i][j]))
  );
  return { kind: "matrix", rows };
}

function transpose(matrix: Matrix | null): Matrix | null {
  if (!matrix || matrix.rows.some((row) => row.length !== matrix.rows[0].length)) return null;
  return { kind: "matrix", rows: columnsOf(matrix) };
}

function columnsOf({ rows }: Matrix): MathExpression[][] {
  return rows[0].map((_, column) => rows.map((row) => row[column]));
}

/** Two matrices, or a number and a matrix. */
function product(a: MathExpression, b: MathExpression): Matrix | null {
  const [left, right] = [matrixOf(a), matrixOf(b)];
  if (!left || !right) {
    const factor = left ? b : a, matrix = left ?? right;
    return matrix && entrywise(matrix, (entry) => call("multiply", factor, entry));
  }
  const fits = left.rows.every((row) => row.length === right.rows.length) &&
    right.rows.every((row) => row.length === right.rows[0].length);
  if (!fits) return null;
  const rows = left.rows.map((row) =>
    columnsOf(right).map((column) =>
      shortened(
        row.map((entry, k) => call("multiply", entry, column[k])).reduce((x, y) =>
          call("add", x, y)
        ),
      )
    )
  );
  return rows.flat().every((entry) => sizeOf(entry) <= longestEntry)
    ? { kind: "matrix", rows }
    : null;
}

/** Entries of more parts are not multiplied any further: each product has all the parts of a row. */
const longestEntry = 500;

/** A number where the entry is one. */
function shortened(entry: MathExpression): MathExpression {
  const value = exactValue(entry);
  return value ? { kind: "number", value, decimal: false } : entry;
}

function sizeOf(expression: MathExpression): number {
  return partsOf(expression).reduce((size, part) => size + sizeOf(part), 1);
}
