"""Writes nn_ops.json: the parts of a transformer and their gradients as PyTorch computes them in float64.

Run with PyTorch 2.13 and transformers: python tests/golden/nn_ops.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.models.llama.modeling_llama import rotate_half

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)


def draw(*shape):
    """Multiples of 1/64, which every floating type holds exactly."""
    return torch.round(torch.randn(*shape) * 64) / 64


def plain(value):
    if isinstance(value, torch.Tensor):
        return plain(value.detach().tolist())
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return float(f"{value:.10g}") if isinstance(value, float) else value


def case(function, *inputs, **options):
    """Inputs, outputs, the gradients of the outputs, and those of the inputs."""
    leaves = [x.clone().requires_grad_(True) for x in inputs]
    outputs = function(*leaves)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    seeds = [draw(*y.shape) for y in outputs]
    torch.autograd.backward(outputs, seeds)
    gradients = [x.grad for x in leaves]
    return {"options": options, "inputs": inputs, "outputs": outputs, "seeds": seeds, "gradients": gradients}


def norms():
    x, residual, weight, bias = draw(2, 3, 7), draw(2, 3, 7), draw(7), draw(7)
    eps = 1e-3
    rms = lambda x, w: F.rms_norm(x, (7,), w, eps)
    return {
        "rmsNorm": case(rms, x, weight, eps=eps),
        "addRmsNorm": case(lambda x, r, w: (x + r, rms(x + r, w)), x, residual, weight, eps=eps),
        "layerNorm": [
            case(
                lambda x, w, b: F.layer_norm(x, (7,), w + 1 if one_plus else w, b, eps),
                x, weight, bias, eps=eps, onePlus=one_plus,
            )
            for one_plus in (False, True)
        ],
    }


def rotate(x, angles, style):
    """x: [time, heads, headDim], angles: [time, pairs]; the elements after the pairs pass through."""
    turning, rest = x[..., : 2 * angles.shape[-1]], x[..., 2 * angles.shape[-1] :]
    if style == "half":
        both = torch.cat([angles, angles], -1).unsqueeze(1)
        turned = turning * both.cos() + rotate_half(turning) * both.sin()
    else:
        points = torch.view_as_complex(turning.reshape(*turning.shape[:-1], -1, 2))
        turns = torch.polar(torch.ones_like(angles), angles).unsqueeze(1)
        turned = torch.view_as_real(points * turns).flatten(-2)
    return torch.cat([turned, rest], -1)


def rope():
    positions = torch.tensor([3, 0, 1, 9])
    cases = []
    for style in ("half", "interleaved"):
        for fraction in (1.0, 0.5):
            rotary = int(8 * fraction)
            frequencies = 100.0 ** (-torch.arange(0, rotary, 2) / rotary)
            angles = positions.unsqueeze(1) * frequencies
            cases.append(case(
                lambda x: rotate(x, angles, style), draw(4, 2, 8),
                style=style, fraction=fraction, positions=positions.tolist(),
            ))
    return cases


def llama3_frequencies():
    scaling = {
        "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    }
    config = LlamaConfig(
        hidden_size=4096, num_attention_heads=32, head_dim=128, rope_theta=500000.0, rope_scaling=scaling,
        max_position_embeddings=131072,
    )
    return ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))[0]


def mask(queries, keys, causal, window):
    """True where a query, one of the last positions, sees a key."""
    position = torch.arange(keys - queries, keys).unsqueeze(1)
    key = torch.arange(keys)
    seen = torch.ones(queries, keys, dtype=torch.bool)
    if causal:
        seen &= key <= position
    if window:
        seen &= (key - position).abs() < window
    return seen


def attention():
    cases = []
    for heads, kv_heads, queries, keys, causal, window in [
        (2, 2, 5, 5, False, 0),
        (2, 2, 5, 5, True, 0),
        (4, 2, 5, 5, True, 0),
        (4, 1, 2, 6, True, 0),
        (2, 1, 6, 6, True, 3),
        (2, 1, 6, 6, False, 2),
    ]:
        seen = mask(queries, keys, causal, window)

        def attend(q, k, v):
            by_head = [x.transpose(1, 2) for x in (q, k, v)]
            return F.scaled_dot_product_attention(*by_head, attn_mask=seen, enable_gqa=True).transpose(1, 2)

        q, k, v = draw(1, queries, heads, 4), draw(1, keys, kv_heads, 4), draw(1, keys, kv_heads, 4)
        cases.append(case(attend, q, k, v, causal=causal, window=window))
    return cases


golden = {
    **norms(),
    "swiglu": case(lambda gate, up: F.silu(gate) * up, draw(3, 5), draw(3, 5)),
    "rope": rope(),
    "llama3Frequencies": llama3_frequencies(),
    "attention": attention(),
}
path = Path(__file__).with_name("nn_ops.json")
path.write_text(json.dumps(plain(golden), separators=(",", ":")) + "\n")
