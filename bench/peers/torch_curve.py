"""PyTorch trains what bench/curve.ts trains. Usage: torch_curve.py <folder>, which has the first weights, the windows of the
text and all numbers; prints one JSON object with losses and tokens per second for each type."""
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

from torch_bench import Llama

folder = Path(sys.argv[1])
numbers = json.loads((folder / "numbers.json").read_text())
windows = load_file(folder / "windows.safetensors")["windows"].long()
start = load_file(folder / "model" / "model.safetensors")
torch.set_num_threads(numbers["threads"])


def make_model():
    """A model with the given weights. Its blocks hold norm, qkv, out, norm, gate, up and down one after the other."""
    sizes = [numbers[name] for name in ("vocab", "dim", "layers", "heads", "kvHeads", "hidden")]
    model = Llama(*sizes, windows.shape[2] - 1)
    model.embedding.data.copy_(start["model.embed_tokens.weight"])
    model.norm.data.copy_(start["model.norm.weight"])
    for i in range(numbers["layers"]):
        part = lambda name: start[f"model.layers.{i}.{name}.weight"]
        weights = [
            part("input_layernorm"),
            torch.cat([part(f"self_attn.{name}_proj") for name in "qkv"]),
            part("self_attn.o_proj"),
            part("post_attention_layernorm"),
            part("mlp.gate_proj"),
            part("mlp.up_proj"),
            part("mlp.down_proj"),
        ]
        for weight, value in zip(model.layers[7 * i : 7 * i + 7], weights):
            weight.data.copy_(value)
    return model


def learn(dtype):
    model = make_model()
    groups = [
        {"params": [p for p in model.parameters() if p.dim() > 1], "weight_decay": numbers["weightDecay"]},
        {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0},
    ]
    betas = (numbers["beta1"], numbers["beta2"])
    optimizer = torch.optim.AdamW(groups, betas=betas, eps=numbers["eps"], fused=True)
    losses, seconds = [], []
    for window, rate in zip(windows, numbers["rates"]):
        began = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
            loss = model(window[:, :-1], window[:, 1:].reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - began)
    tokens = windows.shape[1] * (windows.shape[2] - 1)
    return {"losses": losses, "tokensPerSecond": tokens / statistics.median(seconds)}


print(json.dumps({dtype: learn(dtype) for dtype in ("f32", "bf16")}))
