"""Writes adamw.json: parameters that torch.optim.AdamW trains in two decay groups, with clipping and a schedule.

Run with PyTorch 2.13: python tests/golden/adamw.py
"""

import json
import math
from pathlib import Path

import torch

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
STEPS, PEAK, END, WARMUP = 8, 0.05, 0.005, 2


def draw(*shape):
    """Multiples of 1/64, which every floating type holds exactly."""
    return torch.round(torch.randn(*shape) * 64) / 64


def lr(step):
    """Linear warm-up, then half a period of a cosine."""
    if step <= WARMUP:
        return PEAK * step / (WARMUP + 1)
    t = (step - WARMUP - 1) / (STEPS - WARMUP)
    return END + (PEAK - END) * (1 + math.cos(math.pi * t)) / 2


start = {"weight": draw(3, 4), "bias": draw(4), "frozen": draw(2, 5), "last": draw(5, 2)}
leaves = {name: torch.nn.Parameter(x.clone()) for name, x in start.items() if name != "frozen"}
groups = [
    {"params": [leaves["weight"], leaves["last"]], "weight_decay": 0.1},
    {"params": [leaves["bias"]], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8)
steps = []
for step in range(1, STEPS + 1):
    gradients = {name: draw(*leaf.shape) for name, leaf in leaves.items()}
    for name, leaf in leaves.items():
        leaf.grad = gradients[name].clone()
    norm = torch.nn.utils.clip_grad_norm_(leaves.values(), 3.0)
    for group in optimizer.param_groups:
        group["lr"] = lr(step)
    optimizer.step()
    after = {name: leaf.detach().flatten().tolist() for name, leaf in leaves.items()}
    given = {name: gradient.flatten().tolist() for name, gradient in gradients.items()}
    steps.append({"lr": lr(step), "gradients": given, "norm": norm.item(), "after": after})
plain = {name: {"shape": list(x.shape), "data": x.flatten().tolist()} for name, x in start.items()}
golden = {"peak": PEAK, "end": END, "warmup": WARMUP, "start": plain, "steps": steps}
Path(__file__).with_name("adamw.json").write_text(json.dumps(golden) + "\n")
