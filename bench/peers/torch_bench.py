"""PyTorch on the same work as our benches. Usage: torch_bench.py <bench> <threads>; prints one JSON object of figures by row name."""
import json
import sys
import time

import torch
import torch.nn.functional as F


def times(work, runs, warm_ups):
    """Seconds of each of several calls, sorted."""
    for _ in range(warm_ups):
        work()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)


def best(work, runs=7):
    """Seconds of the fastest call."""
    return times(work, runs, warm_ups=1)[0]


def median(work, runs=9):
    """Seconds of the middle call."""
    return times(work, runs, warm_ups=2)[runs // 2]


TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}


def gemm(threads):
    shapes = [(str(n), n, n, n) for n in (64, 128, 256, 512, 1024, 2048)]
    shapes += [("up 1024x288x768", 1024, 288, 768), ("down 1024x768x288", 1024, 768, 288)]
    shapes += [("head 1024x288x32000", 1024, 288, 32000), ("row 1x288x32000", 1, 288, 32000)]
    figures = {}
    for count in sorted({1, threads}):
        torch.set_num_threads(count)
        for dtype, kind in TYPES.items():
            for name, m, k, n in shapes:
                x, weight = torch.full((m, k), 0.5, dtype=kind), torch.full((n, k), 0.25, dtype=kind)
                repeats = max(1, round(2e8 / (2 * m * k * n)))

                def work():
                    with torch.no_grad():
                        for _ in range(repeats):
                            F.linear(x, weight)

                figures[f"{dtype} {name} t{count}"] = 2 * m * k * n * repeats / best(work) / 1e9
    return figures


def attention(threads):
    torch.set_num_threads(threads)
    cases = [(8, 256, 4, 2, 32), (4, 256, 6, 6, 48), (1, 1024, 8, 4, 64), (1, 4096, 8, 8, 64), (2, 512, 16, 16, 128)]
    figures = {}
    for batch, length, heads, kv_heads, head_dim in cases:
        for dtype, kind in TYPES.items():

            def random(count):
                # The same layout as ours: [batch, time, heads, head_dim], seen as [batch, heads, time, head_dim].
                return torch.randn(batch, length, count, head_dim, dtype=kind).transpose(1, 2).requires_grad_()

            q, k, v = random(heads), random(kv_heads), random(kv_heads)
            seed = torch.randn(batch, heads, length, head_dim, dtype=kind)
            gqa = heads != kv_heads

            def forward():
                return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=gqa)

            def forward_only():
                with torch.no_grad():
                    forward()

            def both():
                forward().backward(seed)

            flops = 2 * batch * heads * length * length * head_dim
            name = f"{dtype} B{batch} T{length} H{heads}/{kv_heads} D{head_dim}"
            figures[f"{name} forward"] = flops / best(forward_only) / 1e9
            figures[f"{name} forward+backward"] = 3.5 * flops / best(both) / 1e9
    return figures


class Llama(torch.nn.Module):
    def __init__(self, vocab, dim, layers, heads, kv_heads, hidden, context):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = heads, kv_heads, dim // heads
        make = lambda *shape: torch.nn.Parameter(torch.randn(*shape) * 0.02)
        self.embedding, self.norm = make(vocab, dim), torch.nn.Parameter(torch.ones(dim))
        self.layers = torch.nn.ParameterList()
        for _ in range(layers):
            for shape in (
                (dim,),
                ((heads + 2 * kv_heads) * self.head_dim, dim),
                (dim, heads * self.head_dim),
                (dim,),
                (hidden, dim),
                (hidden, dim),
                (dim, hidden),
            ):
                self.layers.append(make(*shape) if len(shape) == 2 else torch.nn.Parameter(torch.ones(*shape)))
        angles = torch.outer(torch.arange(context), 10000 ** (-torch.arange(0, self.head_dim, 2) / self.head_dim))
        angles = torch.cat([angles, angles], -1)
        self.register_buffer("cos", angles.cos()[None, :, None])
        self.register_buffer("sin", angles.sin()[None, :, None])

    def rope(self, x):
        a, b = x.chunk(2, -1)
        return (x * self.cos + torch.cat([-b, a], -1) * self.sin).to(x.dtype)

    def forward(self, ids, targets):
        batch, length = ids.shape
        x = F.embedding(ids, self.embedding)
        dim = x.shape[-1]
        for i in range(0, len(self.layers), 7):
            norm, qkv, out, ffn_norm, gate, up, down = self.layers[i : i + 7]
            h = F.linear(F.rms_norm(x, (dim,), norm, 1e-5), qkv)
            h = h.view(batch, length, self.heads + 2 * self.kv_heads, self.head_dim)
            q, k, v = h.split([self.heads, self.kv_heads, self.kv_heads], 2)
            q, k, v = self.rope(q).transpose(1, 2), self.rope(k).transpose(1, 2), v.transpose(1, 2)
            h = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.heads != self.kv_heads)
            x = x + F.linear(h.transpose(1, 2).reshape(batch, length, dim), out)
            h = F.rms_norm(x, (dim,), ffn_norm, 1e-5)
            x = x + F.linear(F.silu(F.linear(h, gate)) * F.linear(h, up), down)
        logits = F.linear(F.rms_norm(x, (dim,), self.norm, 1e-5), self.embedding)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]).float(), targets.view(-1))


def train_step(threads):
    torch.set_num_threads(threads)
    cases = [("1.3M", (1024, 128, 6, 4, 2, 384), 8, 256), ("15M", (32000, 288, 6, 6, 6, 768), 4, 256)]
    figures = {}
    for name, shape, batch, length in cases:
        vocab, tokens = shape[0], batch * length
        stream = (torch.arange(tokens + 1) * 7919 + 13) % vocab
        ids, targets = stream[:-1].view(batch, length), stream[1:].view(batch, length)
        for dtype in TYPES:
            for kind in ("eager", "compiled"):
                torch.manual_seed(0)
                model = Llama(*shape, length)
                run = torch.compile(model) if kind == "compiled" else model
                optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)

                def step():
                    optimizer.zero_grad(set_to_none=True)
                    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
                        loss = run(ids, targets)
                    loss.backward()
                    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                    optimizer.step()
                    return loss.item()

                try:
                    figures[f"{name} {dtype} {kind}"] = tokens / median(step)
                except Exception as error:  # no C++ compiler for torch.compile, say
                    print(f"torch {name} {dtype} {kind}: {error}", file=sys.stderr)
    return figures


def dispatch(threads):
    """Nanoseconds of small ops, as our dispatch bench has them."""
    torch.set_num_threads(threads)
    a, b, weight = torch.ones(1), torch.ones(1), torch.ones(1, requires_grad=True)

    def nanoseconds(call, count=20000):
        def work():
            for _ in range(count):
                call()

        return best(work) / count * 1e9

    def add_and_backward():
        (weight + b).backward()

    return {
        "add1": nanoseconds(lambda: a + b),
        "add1 grad": nanoseconds(lambda: weight + b),
        "add1 number grad": nanoseconds(lambda: weight + 2),
        "mul1 grad": nanoseconds(lambda: weight * b),
        "silu1 grad": nanoseconds(lambda: F.silu(weight)),
        "view1 grad": nanoseconds(lambda: weight.reshape(1, 1)),
        "add1 and backward": nanoseconds(add_and_backward),
    }


if __name__ == "__main__":
    benches = {"gemm": gemm, "attention": attention, "train-step": train_step, "dispatch": dispatch}
    print(json.dumps(benches[sys.argv[1]](int(sys.argv[2]))))
