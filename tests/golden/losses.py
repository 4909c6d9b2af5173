"""Writes losses.json: losses, their gradients, and optimizer trajectories as PyTorch computes them in float64.

Run with PyTorch 2.13: python tests/golden/losses.py
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
TOKENS, DIM, VOCAB, TOP = 6, 5, 11, 3


def draw(*shape):
    """Multiples of 1/64, which every floating type holds exactly."""
    return torch.round(torch.randn(*shape) * 64) / 64


def plain(value):
    if isinstance(value, torch.Tensor):
        value = value.detach()
        return value.tolist() if not value.is_floating_point() else plain(value.tolist())
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return float(f"{value:.10g}") if isinstance(value, float) else value


def with_gradients(loss, **leaves):
    """The loss of leaves that require gradients, and the gradient of each."""
    for x in leaves.values():
        x.grad = None
        x.requires_grad_(True)
    value = loss()
    value.sum().backward()
    return {"loss": value, **{f"d{name}": x.grad.clone() for name, x in leaves.items()}}


def divergence(student, teacher, direction, beta):
    """Rows of KL(t‖s), KL(s‖t), or the generalised Jensen-Shannon divergence as trl's GKDTrainer defines it."""
    s, t = F.log_softmax(student, -1), F.log_softmax(teacher, -1)
    kl = lambda p, q: F.kl_div(q, p, reduction="none", log_target=True).sum(-1)  # KL(p‖q)
    if direction == "forward":
        return kl(t, s)
    if direction == "reverse":
        return kl(s, t)
    m = torch.logaddexp(t + torch.log(torch.tensor(beta)), s + torch.log1p(-torch.tensor(beta)))
    return beta * kl(t, m) + (1 - beta) * kl(s, m)


def cross_entropies():
    cases = []
    for ignore, smoothing, z_loss in [(-1, 0.0, 0.0), (-1, 0.1, 0.0), (3, 0.2, 0.0), (-1, 0.1, 0.01)]:
        hidden, weight = draw(TOKENS, DIM), draw(VOCAB, DIM)
        targets = torch.randint(0, VOCAB, (TOKENS,))
        targets[2] = ignore

        def loss():
            z = hidden @ weight.T
            valid = targets != ignore
            mean = F.cross_entropy(z, targets, ignore_index=ignore, label_smoothing=smoothing)
            return mean + z_loss * (z.logsumexp(-1)[valid] ** 2).mean()

        cases.append({
            "ignoreIndex": ignore, "labelSmoothing": smoothing, "zLoss": z_loss,
            "hidden": hidden, "weight": weight, "targets": targets,
            "nll": F.cross_entropy(hidden @ weight.T, targets, ignore_index=ignore, reduction="none"),
            **with_gradients(loss, Hidden=hidden, Weight=weight),
        })
    return cases


def divergences():
    cases = []
    settings = [("forward", 0.0, 1.0), ("forward", 0.0, 2.0), ("reverse", 1.0, 1.5), ("jsd", 0.5, 1.0), ("jsd", 0.1, 2.0)]
    for direction, beta, temperature in settings:
        hidden, weight = draw(TOKENS, DIM), draw(VOCAB, DIM)
        teacher_hidden, teacher_weight = draw(TOKENS, DIM + 2), draw(VOCAB, DIM + 2)
        mask = torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0, 0.0])

        def loss():
            student, teacher = hidden @ weight.T, teacher_hidden @ teacher_weight.T
            rows = divergence(student / temperature, teacher / temperature, direction, beta)
            return (rows * mask).sum() / mask.sum()

        cases.append({
            "direction": direction, "beta": beta, "temperature": temperature, "mask": mask,
            "hidden": hidden, "weight": weight, "teacherHidden": teacher_hidden, "teacherWeight": teacher_weight,
            **with_gradients(loss, Hidden=hidden, Weight=weight),
        })
    return cases


def top_k_divergences():
    cases = []
    for direction in ["forward", "reverse"]:
        hidden, weight, teacher = draw(TOKENS, DIM), draw(VOCAB, DIM), draw(TOKENS, TOP)
        indices = torch.stack([torch.randperm(VOCAB)[:TOP] for _ in range(TOKENS)])
        rows = lambda: divergence((hidden @ weight.T).gather(1, indices), teacher, direction, 0.0)
        cases.append({
            "direction": direction, "hidden": hidden, "weight": weight, "indices": indices, "teacher": teacher,
            **with_gradients(lambda: rows().mean(), Hidden=hidden, Weight=weight),
        })
    return cases


def log_probs():
    hidden, weight, seed = draw(TOKENS, DIM), draw(VOCAB, DIM), draw(TOKENS)
    targets, temperature = torch.randint(0, VOCAB, (TOKENS,)), 0.75
    log_p = lambda: F.log_softmax(hidden @ weight.T / temperature, -1)
    chosen = lambda: log_p().gather(1, targets[:, None])[:, 0]
    return {
        "temperature": temperature, "hidden": hidden, "weight": weight, "targets": targets, "seed": seed,
        "logProbs": chosen(), "entropy": -(log_p().exp() * log_p()).sum(-1),
        **with_gradients(lambda: (chosen() * seed).sum(), Hidden=hidden, Weight=weight),
    }


def distances():
    x, y = draw(TOKENS, DIM), draw(TOKENS, DIM)
    return {
        "x": x, "y": y,
        "mse": with_gradients(lambda: F.mse_loss(x, y), X=x, Y=y),
        "cosine": with_gradients(lambda: (1 - F.cosine_similarity(x, y, dim=-1)).mean(), X=x, Y=y),
        "normalized": with_gradients(lambda: F.mse_loss(x, y.detach()) / F.mse_loss(y.detach(), torch.zeros_like(y) + 1e-6), X=x),
        "vectorwise": with_gradients(
            lambda: (((x - y.detach()) ** 2).sum(-1) / ((y.detach() ** 2).sum(-1) + 1e-6)).mean(), X=x),
    }


def trajectory(make, start, gradients):
    """Parameters after each step; the first half decays, the second does not."""
    decaying, rest = (torch.nn.Parameter(part.clone()) for part in start.chunk(2))
    optimizer = make(decaying, rest)
    path = []
    for gradient in gradients:
        decaying.grad, rest.grad = (part.clone() for part in gradient.chunk(2))
        optimizer.step()
        path.append(torch.cat([decaying, rest]).detach().clone())
    return path


def optimizers():
    start, gradients = draw(8), [draw(8) for _ in range(5)]
    adamw = {"lr": 0.05, "beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weightDecay": 0.1}
    groups = lambda a, b, decay: [{"params": [a], "weight_decay": decay}, {"params": [b], "weight_decay": 0.0}]
    sgds = [
        {"lr": 0.05, "momentum": 0.0, "nesterov": False, "weightDecay": 0.1},
        {"lr": 0.05, "momentum": 0.9, "nesterov": False, "weightDecay": 0.1},
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weightDecay": 0.1},
    ]
    return {
        "start": start, "gradients": gradients,
        "adamw": {"options": adamw, "path": trajectory(
            lambda a, b: torch.optim.AdamW(groups(a, b, 0.1), lr=0.05, betas=(0.9, 0.95), eps=1e-8), start, gradients)},
        "sgd": [{"options": o, "path": trajectory(
            lambda a, b: torch.optim.SGD(groups(a, b, 0.1), lr=0.05, momentum=o["momentum"], nesterov=o["nesterov"]),
            start, gradients)} for o in sgds],
    }


golden = {
    "torch": torch.__version__.split("+")[0],
    "crossEntropy": cross_entropies(), "divergence": divergences(), "topKDivergence": top_k_divergences(),
    "logProbs": log_probs(), "distances": distances(), "optimizers": optimizers(),
}
path = Path(__file__).with_suffix(".json")
path.write_text(json.dumps(plain(golden), separators=(",", ":")) + "\n")
print(f"{path.name}: {path.stat().st_size} bytes")
