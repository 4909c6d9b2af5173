"""Tiny random models of Hugging Face's transformers, with the logits and gradients it computes in float64.

Run with PyTorch 2.13 and transformers 5.23:

    python tests/golden/transformers_models.py                  writes transformers/llama and transformers/nemotron
    python tests/golden/transformers_models.py check FOLDER...  compares folders written by write_models.ts
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, NemotronConfig, NemotronForCausalLM

SHARED = dict(vocab_size=48, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, head_dim=8,
              max_position_embeddings=64, bos_token_id=1, eos_token_id=2, tie_word_embeddings=False)
# Among the four frequencies of 8 elements, some are below, some inside and some above the blended band.
ROPE = dict(rope_type="llama3", rope_theta=100.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=32)

MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(
        **SHARED, intermediate_size=40, num_key_value_heads=2, rope_parameters=ROPE)),
    "nemotron": lambda: NemotronForCausalLM(NemotronConfig(
        **SHARED, intermediate_size=64, num_key_value_heads=1, partial_rotary_factor=0.5, norm_eps=1e-5)),
}


def randomise(model):
    """Large enough that every part matters; f32, so that the file holds exactly what is computed with."""
    for name, weight in model.named_parameters():
        centre = 1.0 if "norm" in name and isinstance(model, LlamaForCausalLM) else 0.0
        weight.data = centre + 0.2 * torch.randn_like(weight)


def compute(model, ids):
    model = model.double().eval()
    result = model(input_ids=ids, labels=ids)
    result.loss.backward()
    gradients = {f"gradient.{name}": weight.grad.float() for name, weight in model.named_parameters()}
    return {"ids": ids.int(), "logits": result.logits.detach().float(), "loss": result.loss.detach().float(),
            **gradients}


def write(folder):
    torch.manual_seed(0)
    for name, make in MODELS.items():
        model = make()
        randomise(model)
        model.save_pretrained(folder / name)
        (folder / name / "generation_config.json").unlink(missing_ok=True)
        ids = torch.randint(0, SHARED["vocab_size"], (2, 40))
        save_file(compute(model, ids), folder / name / "golden.safetensors")


def check(folder):
    """Load a folder with transformers and compare with the logits in the file beside it."""
    expected = load_file(f"{folder}.logits.safetensors")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).double().eval()
    with torch.no_grad():
        logits = model(input_ids=expected["ids"].long()).logits
    difference = (logits - expected["logits"].double()).abs().max().item()
    print(f"{folder}: {type(model).__name__}, logits differ by at most {difference:.2e} of {logits.abs().max():.2f}")
    return difference < 1e-4


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        sys.exit(0 if all([check(folder) for folder in sys.argv[2:]]) else 1)
    write(Path(__file__).parent / "transformers")
