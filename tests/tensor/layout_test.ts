import assert from "node:assert/strict";
import fc from "fast-check";
import {
  broadcastShapes,
  collapse,
  contiguousStrides,
  expandLayout,
  inferShape,
  isContiguous,
  type Layout,
  permuteLayout,
  reshapeLayout,
  type Shape,
  ShapeError,
  sizeOf,
  sliceLayout,
} from "../../tensor/mod.ts";

/** Storage index of every element, in row-major order: what a layout means. */
function indices({ shape, strides, offset }: Layout): number[] {
  let found = [offset];
  shape.forEach((size, axis) => {
    found = found.flatMap((at) => Array.from({ length: size }, (_, i) => at + i * strides[axis]));
  });
  return found;
}

/** The element of a row-major list of `shape` at these coordinates. */
function at<T>(elements: readonly T[], shape: Shape, coordinates: readonly number[]): T {
  return elements[shape.reduce((index, size, axis) => index * size + coordinates[axis], 0)];
}

/** Coordinates of every element, in row-major order. */
function everywhere(shape: Shape): number[][] {
  return shape.reduce<number[][]>(
    (found, size) => found.flatMap((c) => Array.from({ length: size }, (_, i) => [...c, i])),
    [[]],
  );
}

const shapes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 });
const row = (shape: Shape): Layout => ({ shape, strides: contiguousStrides(shape), offset: 3 });

/** Layouts as views make them: permuted, sliced and expanded. */
const layouts: fc.Arbitrary<Layout> = fc.tuple(
  shapes,
  fc.array(fc.tuple(fc.constantFrom("permute", "slice", "expand"), fc.nat(), fc.nat(), fc.nat()), {
    maxLength: 4,
  }),
).map(([shape, steps]) =>
  steps.reduce((layout, [kind, a, b, c]) => {
    const { shape } = layout, axis = a % Math.max(1, shape.length);
    if (shape.length === 0) return layout;
    if (kind === "permute") return permuteLayout("", layout, rotated(shape.length, a));
    if (kind === "expand") {
      return expandLayout("", layout, shape.map((n, i) => n === 1 && i === axis ? b % 4 : n));
    }
    const start = b % (shape[axis] + 1), end = start + c % (shape[axis] - start + 1);
    return sliceLayout("", layout, axis, start, end, 1 + (a + b) % 3);
  }, row(shape))
);

function rotated(rank: number, by: number): number[] {
  return Array.from({ length: rank }, (_, i) => (i + by) % rank);
}

Deno.test("row-major layouts list their elements in order", () => {
  fc.assert(fc.property(shapes, (shape) => {
    const layout = row(shape);
    assert.deepEqual(indices(layout), Array.from({ length: sizeOf(shape) }, (_, i) => 3 + i));
    assert.ok(isContiguous(layout));
  }));
});

Deno.test("a layout is contiguous exactly when its elements lie in row-major order", () => {
  fc.assert(fc.property(layouts, (layout) => {
    const inOrder = indices(layout).every((index, i) => index === layout.offset + i);
    assert.equal(isContiguous(layout), inOrder);
  }));
});

Deno.test("permute puts the element at [i, j, …] where the order of axes says", () => {
  fc.assert(fc.property(layouts, fc.nat(), (layout, by) => {
    const axes = rotated(layout.shape.length, by);
    const moved = permuteLayout("permute", layout, axes), old = indices(layout);
    everywhere(moved.shape).forEach((coordinates, i) => {
      const before = new Array<number>(axes.length);
      axes.forEach((axis, k) => before[axis] = coordinates[k]);
      assert.equal(indices(moved)[i], at(old, layout.shape, before));
    });
  }));
});

Deno.test("slice keeps every step-th element of one axis", () => {
  const cases = fc.tuple(layouts, fc.nat(), fc.nat(), fc.nat(), fc.integer({ min: 1, max: 3 }))
    .filter(([layout]) => layout.shape.length > 0);
  fc.assert(fc.property(cases, ([layout, a, b, c, step]) => {
    const axis = a % layout.shape.length, size = layout.shape[axis];
    const start = b % (size + 1), end = start + c % (size - start + 1);
    const part = sliceLayout("slice", layout, axis - layout.shape.length, start, end, step);
    const kept = everywhere(layout.shape).flatMap((coordinates, i) => {
      const steps = coordinates[axis] - start;
      return steps >= 0 && coordinates[axis] < end && steps % step === 0 ? [i] : [];
    });
    assert.deepEqual(indices(part), kept.map((i) => indices(layout)[i]));
  }));
});

Deno.test("expand repeats axes of size 1 and adds leading ones", () => {
  fc.assert(fc.property(layouts, fc.array(fc.nat(3), { maxLength: 2 }), fc.nat(3), (x, lead, n) => {
    const shape = [...lead, ...x.shape.map((size) => size === 1 ? n : size)];
    const wide = expandLayout("expand", x, shape), old = indices(x);
    everywhere(shape).forEach((coordinates, i) => {
      const before = coordinates.slice(lead.length).map((c, axis) => x.shape[axis] === 1 ? 0 : c);
      assert.equal(indices(wide)[i], at(old, x.shape, before));
    });
  }));
});

/** Ways to write `size` elements as a shape. */
const factored = (size: number, choices: readonly number[]): number[] => {
  const shape: number[] = [];
  let rest = size;
  for (const choice of choices) {
    if (rest > 0 && rest % (choice + 1) === 0) {
      shape.push(choice + 1);
      rest /= choice + 1;
    }
  }
  return [...shape, rest];
};

Deno.test("reshape keeps the order of the elements, and needs a copy only when no strides could", () => {
  const cases = fc.tuple(layouts, fc.array(fc.nat(5), { maxLength: 5 }));
  fc.assert(
    fc.property(cases, ([layout, choices]) => {
      const shape = factored(sizeOf(layout.shape), choices), result = reshapeLayout(layout, shape);
      if (result) {
        assert.deepEqual(result.shape, shape);
        assert.deepEqual(indices(result), indices(layout));
      } else assert.equal(stridesFor(indices(layout), shape), null, "a view would have done");
    }),
    { numRuns: 1000 },
  );
});

/** The strides with which `elements` are those of a view of `shape`, by trying; null when there are none. */
function stridesFor(elements: readonly number[], shape: Shape): number[] | null {
  const strides = shape.map((size, axis) => {
    if (size <= 1) return 0;
    return elements[sizeOf(shape.slice(axis + 1))] - elements[0];
  });
  const view = indices({ shape, strides, offset: elements[0] ?? 0 });
  return view.every((index, i) => index === elements[i]) ? strides : null;
}

Deno.test("collapse merges axes without moving an element of any operand", () => {
  fc.assert(fc.property(layouts, fc.nat(), (x, by) => {
    const shape = x.shape,
      other = permuteLayout("", row(rotatedBack(shape, by)), rotated(shape.length, by));
    const operands = [x.strides, other.strides];
    const merged = collapse(shape, operands);
    assert.ok(merged.shape.length >= 1 && merged.shape.length <= Math.max(1, shape.length));
    operands.forEach((strides, k) => {
      const before = indices({ shape, strides, offset: 0 });
      const after = indices({ shape: merged.shape, strides: merged.strides[k], offset: 0 });
      assert.deepEqual(after, before);
    });
  }));
});

/** The shape that becomes `shape` when its axes are rotated by `by`. */
function rotatedBack(shape: Shape, by: number): number[] {
  const before = new Array<number>(shape.length);
  rotated(shape.length, by).forEach((axis, i) => before[axis] = shape[i]);
  return before;
}

Deno.test("neighbouring axes of row-major operands collapse into one", () => {
  const strides = contiguousStrides([2, 3, 1, 4]);
  assert.deepEqual(collapse([2, 3, 1, 4], [strides, strides]), {
    shape: [24],
    strides: [[1], [1]],
  });
});

Deno.test("broadcasting aligns at the end and is symmetric", () => {
  fc.assert(fc.property(shapes, shapes, (a, b) => {
    const both = (x: Shape, y: Shape): Shape | null => {
      try {
        return broadcastShapes("add", x, y);
      } catch (error) {
        assert.ok(error instanceof ShapeError);
        return null;
      }
    };
    const joint = both(a, b);
    assert.deepEqual(both(b, a), joint);
    if (joint) {
      for (const x of [a, b]) assert.deepEqual(expandLayout("", row(x), joint).shape, joint);
    }
  }));
});

Deno.test("layouts that cannot be are refused with both numbers", () => {
  const x = row([2, 3]);
  const cases: [() => unknown, string][] = [
    [
      () => broadcastShapes("add", [2, 3], [4, 3]),
      "add: shapes do not broadcast, [2, 3] and [4, 3] (2 vs 4). Aligned at the end, sizes must be equal or 1.",
    ],
    [
      () => expandLayout("expand", x, [2, 1]),
      "expand: [2, 3] does not expand to [2, 1]. Only axes of size 1 can repeat.",
    ],
    [
      () => expandLayout("expand", x, [2, -3]),
      "expand: [2, -3] is no shape (-3). Sizes are whole numbers of at least 0.",
    ],
    [
      () => expandLayout("expand", x, [2 ** 40, 2 ** 40, 2, 3]),
      "expand: [1099511627776, 1099511627776, 2, 3] has too many elements (7.253554917687775e+24). " +
      "Use a smaller shape.",
    ],
    [
      () => permuteLayout("permute", x, [0, 0]),
      "permute: [0, 0] is no order of the axes of [2, 3]. Name each axis once.",
    ],
    [
      () => permuteLayout("permute", x, [0, 2]),
      "permute: no axis 2 in a tensor of rank 2. Use -2 to 1.",
    ],
    [
      () => sliceLayout("slice", x, 1, 2, 4, 1),
      "slice: 2:4:1 does not fit axis 1 of [2, 3] (3). Use 0 <= start <= end <= 3 and a step of at least 1.",
    ],
    [
      () => sliceLayout("slice", x, 1, 0, 3, 0),
      "slice: 0:3:0 does not fit axis 1 of [2, 3] (3). Use 0 <= start <= end <= 3 and a step of at least 1.",
    ],
    [
      () => inferShape("reshape", [2, 3], [4, -1]),
      "reshape: [2, 3] does not fit [4, -1] (6 vs 4 elements). Keep the number of elements; one size may be -1.",
    ],
  ];
  for (const [make, message] of cases) assert.throws(make, { name: "ShapeError", message });
});

Deno.test("an axis of a tensor of rank 0 is refused without an odd range", () => {
  assert.throws(() => permuteLayout("permute", row([]), [0]), {
    name: "ShapeError",
    message: "permute: no axis 0 in a tensor of rank 0. It has none.",
  });
});
