"""Writes trl_grpo.json: losses, gradients and advantages as TRL's GRPOTrainer and RLOO compute them in float64.

Run with trl 1.16 and PyTorch 2.13: python tests/golden/trl_grpo.py
"""

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import torch
from trl import GRPOTrainer
from trl.trainer.utils import nanstd

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
SEQUENCES, LENGTH, LONGEST = 4, 5, 8


def plain(value):
    if isinstance(value, torch.Tensor):
        return plain(value.detach().tolist())
    if isinstance(value, list):
        return [plain(v) for v in value]
    return float(f"{value:.12g}") if isinstance(value, float) else value


def trainer(loss_type, level, beta, low, high):
    """The trainer with nothing but what its loss reads; log-probabilities are given."""
    made = GRPOTrainer.__new__(GRPOTrainer)
    made.args = SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1)
    made.loss_type, made.importance_sampling_level = loss_type, level
    made.beta, made.epsilon_low, made.epsilon_high = beta, low, high
    made.top_entropy_quantile, made.off_policy_mask_threshold = 1.0, None
    made.aux_loss_enabled = made._entropy_bonus_enabled = made.use_vllm = False
    made.use_adaptive_entropy, made.model = False, SimpleNamespace(training=True)
    made.current_gradient_accumulation_steps, made.max_completion_length = 1, LONGEST
    made._metrics = {"train": defaultdict(list), "eval": defaultdict(list)}
    made.accelerator = SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, **_: x)
    return made


def case(loss_type, level, beta, low, high):
    lengths = torch.tensor([5, 3, 1, 4])
    mask = (torch.arange(LENGTH) < lengths[:, None]).long()
    now = -torch.rand(SEQUENCES, LENGTH) * 3
    old = now + torch.randn(SEQUENCES, LENGTH) * 0.3
    reference = now + torch.randn(SEQUENCES, LENGTH) * 0.5
    advantages = torch.tensor([1.2, -0.7, 0.4, -1.5])
    entropy = torch.rand(SEQUENCES, LENGTH)
    now.requires_grad_(True)
    made = trainer(loss_type, level, beta, low, high)
    made._get_per_token_logps_and_entropies = lambda *_, **__: (now, entropy, None)
    ids = torch.zeros(SEQUENCES, LENGTH, dtype=torch.long)
    inputs = {
        "prompt_ids": ids[:, :1],
        "prompt_mask": mask[:, :1],
        "completion_ids": ids,
        "completion_mask": mask,
        "advantages": advantages,
        "old_per_token_logps": old,
        "ref_per_token_logps": reference,
        "num_items_in_batch": mask.sum(),
    }
    loss = made._compute_loss(SimpleNamespace(training=True), inputs)
    loss.backward()
    metrics = {
        name: values[0]
        for name, values in made._metrics["train"].items()
        if name in ("kl", "clip_ratio/low_mean", "clip_ratio/high_mean", "clip_ratio/region_mean", "entropy")
    }
    return {
        "lossType": loss_type,
        "level": level,
        "beta": beta,
        "low": low,
        "high": high,
        "longest": LONGEST,
        "lengths": lengths.tolist(),
        **{name: plain(x) for name, x in {"now": now, "old": old, "reference": reference}.items()},
        "advantages": plain(advantages),
        "entropies": plain(entropy),
        "loss": plain(loss),
        "gradient": plain(now.grad),
        "metrics": {name: plain(value) for name, value in metrics.items()},
    }


def advantage_case(rewards):
    """TRL's formulas of scale_rewards "group" and "none", and RLOO's leave-one-out baseline, of one group."""
    x = torch.tensor(rewards)
    centred = x - x.mean()
    std = nanstd(x.view(1, -1), dim=1)
    baseline = (x.sum() - x) / (len(rewards) - 1)
    return {
        "rewards": rewards,
        "group": plain(centred / (std + 1e-4)),
        "mean": plain(centred),
        "rloo": plain(x - baseline),
        "std": plain(std)[0],
    }


cases = [
    case("dapo", "token", 0.0, 0.2, 0.2),
    case("dapo", "token", 0.01, 0.2, 0.28),
    case("grpo", "token", 0.1, 0.2, 0.2),
    case("dr_grpo", "token", 0.04, 0.1, 0.3),
    case("grpo", "sequence", 0.0, 0.05, 0.1),
    case("dapo", "sequence", 0.05, 0.1, 0.1),
]
groups = [[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0], [0.5, -1.0, 2.0, 0.25, 0.0, 1.0], [0.1, 0.1]]
content = {"losses": cases, "advantages": [advantage_case(group) for group in groups]}
Path(__file__).with_name("trl_grpo.json").write_text(json.dumps(content, indent=1) + "\n")
