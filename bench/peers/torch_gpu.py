"""PyTorch on the same work as `deno task bench gpu`. Usage: torch_gpu.py <sizes as JSON>; prints one JSON object of figures by
row name followed by eager or compiled. Ends with status 1 where PyTorch has no CUDA."""
import json
import math
import sys
import time

import torch
import torch.nn.functional as F

from torch_bench import Llama

SIZES = json.loads(sys.argv[1])
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
figures = {}


def seconds(work, choose=min):
    """Seconds by the GPU's clock of one of several calls, after two that compile and choose algorithms."""
    for _ in range(2):
        work()
    times = []
    for _ in range(SIZES["runs"]):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    return choose(times)


def middle(times):
    return sorted(times)[len(times) // 2]


def measure(name, function, figure):
    """Notes figure(function) and figure(compiled function) under the name of a row."""
    for kind in ("eager", "compiled"):
        torch._dynamo.reset()
        try:
            figures[f"{name} {kind}"] = figure(torch.compile(function) if kind == "compiled" else function)
        except Exception as error:  # no C++ compiler for torch.compile, or too little memory
            print(f"torch {name} {kind}: {error}", file=sys.stderr)
        torch.cuda.empty_cache()


def products():
    for dtype, kind in TYPES.items():
        for size in SIZES["products"]:
            m, k, n = size["m"], size["k"], size["n"]
            x, weight = torch.full((m, k), 0.5, dtype=kind), torch.full((n, k), 0.25, dtype=kind)
            flops = 2 * m * k * n
            repeats = max(1, round(SIZES["productFlops"] / flops))

            def work():
                with torch.no_grad():
                    for _ in range(repeats):
                        F.linear(x, weight)

            figures[f"gemm {dtype} {size['name']} eager"] = flops * repeats / seconds(work) / 1e9


def attention():
    for case in SIZES["attention"]:
        batch, length, heads, kv_heads, head_dim = (case[x] for x in ("batch", "time", "heads", "kvHeads", "headDim"))
        random = lambda count: torch.randn(batch, length, count, head_dim, dtype=torch.bfloat16).transpose(1, 2)
        q, k, v = (random(count).requires_grad_() for count in (heads, kv_heads, kv_heads))
        seed = random(heads)
        flops = 2 * batch * heads * length * length * head_dim
        name = f"attention bf16 B{batch} T{length} H{heads}/{kv_heads} D{head_dim}"

        def forward(q, k, v):
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=heads != kv_heads)

        def forward_figure(function):
            with torch.no_grad():
                return flops / seconds(lambda: function(q, k, v)) / 1e9

        measure(f"{name} forward", forward, forward_figure)
        both = lambda function: 3.5 * flops / seconds(lambda: function(q, k, v).backward(seed)) / 1e9
        measure(f"{name} forward+backward", forward, both)


def memory_bound():
    rows, dim, hidden, vocab, vocab_rows = (SIZES[x] for x in ("rows", "dim", "hidden", "vocab", "vocabRows"))
    bf16 = lambda *shape: torch.rand(*shape, dtype=torch.bfloat16)
    x, y, weight, gate, up = bf16(rows, dim), bf16(rows, dim), bf16(dim), bf16(rows, hidden), bf16(rows, hidden)
    logits, targets = bf16(vocab_rows, vocab), torch.arange(vocab_rows) % vocab
    ids, table, flat = torch.arange(rows) % vocab, bf16(vocab, dim), torch.rand(rows * dim)
    cases = [
        # name, function, inputs, bytes beside those of inputs and output
        ("add bf16", lambda a, b: a + b, (x, y), 0),
        ("mul bf16", lambda a, b: a * b, (x, y), 0),
        ("silu bf16", F.silu, (x,), 0),
        ("gelu bf16", F.gelu, (x,), 0),
        ("exp bf16", torch.exp, (x,), 0),
        ("rmsNorm bf16", lambda x, w: F.rms_norm(x, (dim,), w, 1e-5), (x, weight), 0),
        ("addRmsNorm bf16", lambda x, y, w: (x + y, F.rms_norm(x + y, (dim,), w, 1e-5)), (x, y, weight), 0),
        ("layerNorm bf16", lambda x, w: F.layer_norm(x, (dim,), w, w, 1e-5), (x, weight), 0),
        ("swiglu bf16", lambda gate, up: F.silu(gate) * up, (gate, up), 0),
        ("sum of rows bf16", lambda x: x.sum(1), (x,), 0),
        ("sum of columns bf16", lambda x: x.sum(0), (x,), 0),
        ("cumsum bf16", lambda x: x.cumsum(1), (x,), 0),
        ("max bf16", lambda x: x.amax(1), (x,), 0),
        ("argmax bf16", lambda x: x.argmax(1), (x,), 0),
        ("softmax bf16", lambda x: x.softmax(1), (logits,), 0),
        ("logSoftmax bf16", lambda x: x.log_softmax(1), (logits,), 0),
        ("logSumExp bf16", lambda x: x.logsumexp(1), (logits,), 0),
        ("crossEntropy bf16", lambda x, t: F.cross_entropy(x, t, reduction="none"), (logits, targets), 0),
        ("embedding bf16", F.embedding, (ids, table), -table.nbytes),
        ("copy bf16", torch.clone, (x,), 0),
        ("copy bf16 to f32", lambda x: x.float(), (x,), 0),
        ("copy f32 to bf16", lambda x: x.bfloat16(), (flat,), 0),
    ]
    for name, function, inputs, more in cases:
        made = function(*inputs)
        outputs = made if isinstance(made, tuple) else (made,)
        moved = sum(tensor.nbytes for tensor in (*inputs, *outputs)) + more
        repeats = 5

        def figure(function):
            def work():
                for _ in range(repeats):
                    function(*inputs)

            with torch.no_grad():
                return moved * repeats / seconds(work) / 1e9

        measure(name, function, figure)


def llama(size, length):
    shape = size["shape"]
    sizes = [shape[x] for x in ("vocab", "dim", "layers", "heads", "kvHeads", "hidden")]
    return Llama(*sizes, length)


def training():
    for size in SIZES["training"]:
        batch, length, vocab = size["batch"], size["time"], size["shape"]["vocab"]
        tokens = batch * length
        stream = (torch.arange(tokens + 1) * 7919 + 13) % vocab
        ids, targets = stream[:-1].view(batch, length), stream[1:].view(batch, length)
        model = llama(size, length)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)

        def figure(run):
            def step():
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(ids.device.type, torch.bfloat16):
                    loss = run(ids, targets)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                return loss.item()

            return tokens / seconds(step, middle)

        measure(f"train {size['name']} bf16", model, figure)


class Generator(torch.nn.Module):
    """One token further for each stream, over a cache of keys and values of fixed size."""

    def __init__(self, model, streams, length):
        super().__init__()
        self.model, self.length = model.bfloat16(), length
        caches = torch.zeros(len(model.layers) // 7, 2, streams, model.kv_heads, length, model.head_dim)
        self.register_buffer("caches", caches.bfloat16())

    def forward(self, ids, position):
        # ids: [streams, 1]; position: [1]
        model, streams = self.model, ids.shape[0]
        x = F.embedding(ids, model.embedding)
        dim = x.shape[-1]
        seen = (torch.arange(self.length, device=ids.device) <= position)[None, None, None]
        cos, sin = model.cos[:, position], model.sin[:, position]

        def turned(x):
            a, b = x.chunk(2, -1)
            return (x * cos + torch.cat([-b, a], -1) * sin).to(x.dtype).transpose(1, 2)

        for i in range(0, len(model.layers), 7):
            norm, qkv, out, ffn_norm, gate, up, down = model.layers[i : i + 7]
            h = F.linear(F.rms_norm(x, (dim,), norm, 1e-5), qkv)
            h = h.view(streams, 1, model.heads + 2 * model.kv_heads, model.head_dim)
            q, k, v = h.split([model.heads, model.kv_heads, model.kv_heads], 2)
            keys, values = self.caches[i // 7]
            keys.index_copy_(2, position, turned(k))
            values.index_copy_(2, position, v.transpose(1, 2))
            gqa = model.heads != model.kv_heads
            h = F.scaled_dot_product_attention(turned(q), keys, values, attn_mask=seen, enable_gqa=gqa)
            x = x + F.linear(h.transpose(1, 2).reshape(streams, 1, dim), out)
            h = F.rms_norm(x, (dim,), ffn_norm, 1e-5)
            x = x + F.linear(F.silu(F.linear(h, gate)) * F.linear(h, up), down)
        return F.linear(F.rms_norm(x, (dim,), model.norm, 1e-5), model.embedding).argmax(-1)


def decoding():
    for size in SIZES["decoding"]:
        for streams in (1, size["batch"]):
            length = size["time"] + 8
            generator = Generator(llama(size, length), streams, length)
            compiled = torch.compile(generator, mode="reduce-overhead")  # CUDA graphs
            for kind, run in (("eager", generator), ("compiled", compiled)):

                def work():
                    ids = torch.zeros(streams, 1, dtype=torch.long)
                    for position in range(size["time"]):
                        ids = run(ids, torch.tensor([position])).clone()
                        ids.tolist()  # as a server needs them

                try:
                    with torch.no_grad():
                        work()
                        start = time.perf_counter()
                        work()
                        value = streams * size["time"] / (time.perf_counter() - start)
                    figures[f"decode {size['name']} bf16 s{streams} {kind}"] = value
                except Exception as error:
                    print(f"torch decode {size['name']} {kind}: {error}", file=sys.stderr)


if __name__ == "__main__":
    if not torch.cuda.is_available():
        sys.exit("PyTorch is here, but without CUDA.")
    torch.set_default_device("cuda")
    for part in (products, attention, memory_bound, training, decoding):
        part()
        torch.cuda.empty_cache()
    finite = {name: value for name, value in figures.items() if math.isfinite(value)}
    print(json.dumps(finite))
