"""Writes ops.json: what PyTorch computes where the meaning of an op is easy to get wrong (ties, NaN, nothing, rounding).

    python tests/golden/ops.py

Needs torch. Numbers that JSON does not have are strings: "NaN", "Infinity", "-Infinity".
"""

import json
import math
from pathlib import Path

import torch

NAN, INF = math.nan, math.inf
TYPES = {
    "f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16, "f64": torch.float64,
    "i32": torch.int32, "i8": torch.int8, "u8": torch.uint8, "e4m3": torch.float8_e4m3fn,
}
NAMES = {dtype: name for name, dtype in TYPES.items()} | {torch.int64: "i32", torch.bool: "u8"}
cases = []


def number(value):
    return value if isinstance(value, int) or math.isfinite(value) else {INF: "Infinity", -INF: "-Infinity"}.get(value, "NaN")


def packed(x):
    return {"shape": list(x.shape), "dtype": NAMES[x.dtype], "data": [number(v) for v in x.double().flatten().tolist()]}


def case(op, compute, *inputs, params=None, gradient=True, dtype="f32"):
    """One case of `op`: outputs, and the gradients of sum(output * weights) with weights 1, 2, 3, …"""
    tensors = [x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=TYPES[dtype]) for x in inputs]
    leaves = [x.clone().requires_grad_(gradient and x.is_floating_point() and x.element_size() > 1) for x in tensors]
    outputs = compute(*leaves)
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    entry = {"op": op, "params": params or {}, "inputs": [packed(x.detach()) for x in leaves]}
    entry["outputs"] = [packed(y.detach()) for y in outputs]
    smooth = [y for y in outputs if y.requires_grad]
    if smooth:
        weights = [torch.arange(1, y.numel() + 1, dtype=y.dtype).reshape(y.shape) for y in smooth]
        torch.autograd.backward(smooth, weights)
        entry["gradients"] = [packed(x.grad) if x.grad is not None else None for x in leaves]
    cases.append(entry)


ties = [[1.0, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0], [-1.0, -2.0, -1.0, -3.0]]
odd = [[1.0, NAN, 3.0, NAN], [NAN, NAN, NAN, NAN], [INF, -INF, 0.0, INF], [-INF, -INF, -INF, -INF]]
zeros = [[0.0, -0.0, 0.0, -0.0]]

for name, op in [("max", torch.amax), ("min", torch.amin), ("logSumExp", torch.logsumexp)]:
    for x in (ties, odd, zeros):
        case(name, lambda x: op(x, 1), x, params={"axis": 1})
        case(name, lambda x: op(x, 0), x, params={"axis": 0})
    case(name, lambda x: op(x, (0, 1)), ties)
    case(name, lambda x: op(x, 1), torch.zeros(0, 3), params={"axis": 1})
case("logSumExp", lambda x: torch.logsumexp(x, 1), torch.zeros(3, 0), params={"axis": 1})
for x in (ties, odd, zeros):
    case("argmax", lambda x: torch.argmax(x, 1), x, params={"axis": 1})
    case("argmax", lambda x: torch.argmax(x, 0), x, params={"axis": 0})
case("argmax", torch.argmax, ties)
case("sum", lambda x: x.sum(1), torch.zeros(2, 0), params={"axis": 1})
case("mean", lambda x: x.mean(1), torch.zeros(2, 0), params={"axis": 1})
case("sum", lambda x: x.sum(0), odd, params={"axis": 0})

large = [[1000.0, 999.0, -1000.0], [0.0, 88.0, 89.0], [-100.0, -200.0, -103.0]]
for name, op in [("softmax", torch.softmax), ("logSoftmax", torch.log_softmax)]:
    for x in (ties, odd, large):
        case(name, lambda x: op(x, 1), x, params={"axis": 1})
    case(name, lambda x: op(x, 0), large, params={"axis": 0})
    case(name, lambda x: op(x, 1), torch.zeros(2, 0), params={"axis": 1})

case("cumsum", lambda x: x.cumsum(0), [1e8, 1.0, -1e8, 1.0], params={"axis": 0})
case("cumsum", lambda x: x.cumsum(1), [[1.0, NAN, 2.0], [INF, -INF, 1.0]], params={"axis": 1})
case("cumsum", lambda x: x.cumsum(0), [0.5] * 300, params={"axis": 0}, dtype="bf16", gradient=False)

for x in (ties, odd, zeros):
    for descending in (False, True):
        case("sort", lambda x: x.sort(dim=1, descending=descending, stable=True), x,
             params={"axis": 1, "descending": descending})
case("topK", lambda x: x.topk(2, 1), [[1.0, NAN, 3.0, 2.0], [INF, 4.0, -INF, 0.0]], params={"axis": 1, "k": 2})

mask = torch.tensor([[1], [0]], dtype=torch.uint8)
case("where", lambda m, x, y: torch.where(m.bool(), x, y), mask, [[1.0, NAN], [2.0, INF]], [5.0, NAN])
indices = torch.tensor([[0, 2, 2], [1, 1, 0]], dtype=torch.int32)
table = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]
case("gather", lambda x, i: x.gather(1, i.long()), table, indices, params={"axis": 1})
case("scatterAdd", lambda x, i, s: x.scatter_add(1, i.long(), s), table, indices, [[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]],
     params={"axis": 1})
case("embedding", lambda i, w: torch.nn.functional.embedding(i, w), torch.tensor([[2, 0], [2, 2]], dtype=torch.int32),
     [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
case("concat", lambda *xs: torch.cat(xs, 1), [[1.0], [2.0]], torch.zeros(2, 0), [[3.0, 4.0], [5.0, 6.0]], params={"axis": 1})
case("stack", lambda *xs: torch.stack(xs, 1), [1.0, 2.0], [3.0, 4.0], params={"axis": 1})
case("chunk", lambda x: torch.chunk(x, 3, 0), [1.0, 2.0, 3.0, 4.0], params={"axis": 0, "count": 3})

# Elementary functions where they end.
edges = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 1e-40, 100.0, -100.0, 3.4e38]
for name, op in [
    ("neg", torch.neg), ("abs", torch.abs), ("exp", torch.exp), ("log", torch.log), ("sqrt", torch.sqrt),
    ("rsqrt", torch.rsqrt), ("reciprocal", torch.reciprocal), ("tanh", torch.tanh), ("sigmoid", torch.sigmoid),
    ("relu", torch.relu), ("silu", torch.nn.functional.silu),
    ("gelu", lambda x: torch.nn.functional.gelu(x, approximate="tanh")), ("relu2", lambda x: torch.relu(x) ** 2),
    ("sin", torch.sin), ("cos", torch.cos),
]:
    case(name, op, edges, gradient=False)
for name, op in [("relu", torch.relu), ("abs", torch.abs)]:
    case(name, op, [-1.0, 0.0, 2.0])

# Pairs of awkward numbers, each with each.
values = torch.tensor([NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 2.5, -3.0])
left, right = values.repeat_interleave(len(values)), values.repeat(len(values))
for name, op in [
    ("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div), ("maximum", torch.maximum),
    ("minimum", torch.minimum), ("pow", torch.pow), ("equal", torch.eq), ("notEqual", torch.ne), ("less", torch.lt),
    ("lessEqual", torch.le), ("greater", torch.gt), ("greaterEqual", torch.ge),
]:
    case(name, op, left, right, gradient=False)
case("maximum", torch.maximum, [1.0, 2.0, 2.0], [3.0, 2.0, 1.0])
case("minimum", torch.minimum, [1.0, 2.0, 2.0], [3.0, 2.0, 1.0])

# Arithmetic in bf16 rounds once, to even.
torch.manual_seed(1)
a, b = (torch.randn(64) * 4).bfloat16(), torch.randn(64).bfloat16()
for name, op in [("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div), ("sqrt", None), ("exp", None)]:
    if op:
        case(name, op, a, b, gradient=False)
    else:
        case(name, getattr(torch, name), a.abs(), gradient=False)

# Casts. What does not fit an integer type is left out: there PyTorch does as the processor does.
floats = [NAN, INF, -INF, 0.0, -0.0, 1.00390625, 1.01171875, 3.39e38, 1e-40, 65504.0, 65520.0, 70000.0, 1e-8, -2.5, 0.1]
for to in ("bf16", "f16", "f64", "f32"):
    case("to", lambda x: x.to(TYPES[to]), floats, params={"dtype": to}, gradient=False)
for to in ("i32", "i8", "u8"):
    case("to", lambda x: x.to(TYPES[to]), [0.0, 0.99, 1.5, 2.5, 100.7], params={"dtype": to}, gradient=False)
case("to", lambda x: x.to(torch.int32), [-0.99, -1.5, -100.7, 2147483520.0, -2147483648.0], params={"dtype": "i32"},
     gradient=False)
case("to", lambda x: x.to(torch.float32), torch.tensor([16777217, -16777219, 2147483647], dtype=torch.int32),
     params={"dtype": "f32"}, gradient=False)
case("to", lambda x: x.to(torch.bfloat16), torch.tensor([257, 259, -1, 2147483647], dtype=torch.int32),
     params={"dtype": "bf16"}, gradient=False)
case("to", lambda x: x.to(torch.float8_e4m3fn), [0.0, 1.0, 1.0625, 1.1875, -3.3, 448.0, 0.001, 0.0029296875, NAN],
     params={"dtype": "e4m3"}, gradient=False)

lines = ",\n".join(json.dumps(entry) for entry in cases)
Path(__file__).with_name("ops.json").write_text(f"[\n{lines}\n]\n")
print(f"{len(cases)} cases")
