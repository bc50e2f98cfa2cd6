"""Writes the trained example as a Hugging Face checkpoint: BF16 safetensors in two shards with an index."""

import json

import torch
from safetensors.torch import save_file

from training.tokenizer import BOS, END, EOS, PAD


def shards_of(tensors, count):
    """Cuts the tensors, in order, into `count` runs of about the same bytes."""
    total = sum(tensor.nbytes for tensor in tensors.values())
    shards, used = [{} for _ in range(count)], 0
    for name, tensor in tensors.items():
        shards[min(count - 1, used * count // total)][name] = tensor
        used += tensor.nbytes
    return shards, total


def save_weights(model, folder, count=2):
    tensors = {name: tensor.to(torch.bfloat16).contiguous() for name, tensor in model.state_dict().items()}
    shards, total = shards_of(tensors, count)
    places = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{count:05}.safetensors"
        save_file(shard, str(folder / file), metadata={"format": "pt"})
        (folder / file).chmod(0o644)
        places |= {name: file for name in shard}
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def save_config(shape, tokenizer, folder):
    ids = {"bos_token_id": tokenizer.token_to_id(BOS), "pad_token_id": tokenizer.token_to_id(PAD)}
    ends = [tokenizer.token_to_id(EOS), tokenizer.token_to_id(END)]
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        **{field: getattr(shape, field) for field in shape.__dataclass_fields__},
        "head_dim": shape.head_dim,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "initializer_range": 0.02,
        "torch_dtype": "bfloat16",
        **ids,
        "eos_token_id": ends,
    }
    generation = {**ids, "eos_token_id": ends, "do_sample": False, "max_new_tokens": 100}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "generation_config.json").write_text(json.dumps(generation, indent=2) + "\n")
