"""A random LoRA adapter of PEFT for the tiny Llama of transformers_models.py, with the logits of the adapted model.

Run with PyTorch 2.13, transformers 5.23 and peft 0.21:

    python tests/golden/peft_adapter.py                writes peft/
    python tests/golden/peft_adapter.py check FOLDER   compares an adapter folder that holds logits.safetensors
"""

import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent


def base():
    return AutoModelForCausalLM.from_pretrained(HERE / "transformers" / "llama", dtype=torch.float32)


def write(folder):
    torch.manual_seed(0)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=6, lora_dropout=0.1,
                        target_modules=["q_proj", "v_proj", "down_proj"])
    model = get_peft_model(base(), config)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = 0.3 * torch.randn_like(weight)
    model.peft_config["default"].base_model_name_or_path = "tests/golden/transformers/llama"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    model = model.double().eval()
    ids = torch.randint(0, model.config.vocab_size, (2, 12))
    with torch.no_grad():
        logits = model(input_ids=ids).logits
        merged = model.merge_and_unload()
        assert (merged(input_ids=ids).logits - logits).abs().max() < 1e-5
    weights = {f"merged.{name}": weight.float() for name, weight in merged.named_parameters() if "layers.1" in name}
    save_file({"ids": ids.int(), "logits": logits.float(), **weights}, folder / "golden.safetensors")


def check(folder):
    expected = load_file(Path(folder) / "logits.safetensors")
    model = PeftModel.from_pretrained(base(), folder).double().eval()
    with torch.no_grad():
        logits = model(input_ids=expected["ids"].long()).logits
    difference = (logits - expected["logits"].double()).abs().max().item()
    print(f"{folder}: logits differ by at most {difference:.2e} of {logits.abs().max():.2f}")
    return difference < 1e-4


if __name__ == "__main__":
    if sys.argv[1:2] == ["check"]:
        sys.exit(0 if check(sys.argv[2]) else 1)
    write(HERE / "peft")
