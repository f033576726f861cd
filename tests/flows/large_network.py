"""LLaDA's published layout at any size, random or without weights."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

EIGHT_B = {"dim": 4096, "layers": 32, "wide": 12288, "heads": 32, "vocabulary": 126464}
SMALL = {"dim": 384, "layers": 13, "wide": 1024, "heads": 6, "vocabulary": 100_000}  # 10^8 parameters


def configuration(*, dim: int, layers: int, wide: int, heads: int, vocabulary: int) -> dict:
    """config.json as LLaDA publishes it."""
    return {
        "model_type": "llada",
        "architectures": ["LLaDAModelLM"],
        "d_model": dim,
        "n_heads": heads,
        "n_kv_heads": heads,
        "n_layers": layers,
        "mlp_hidden_size": wide,
        "embedding_size": vocabulary,
        "vocab_size": vocabulary,
        "max_sequence_length": 4096,
        "rope": True,
        "rope_theta": 500000.0,
        "rms_norm_eps": 1e-5,
        "block_type": "llama",
        "activation_type": "silu",
        "layer_norm_type": "rms",
        "weight_tying": False,
        "mask_token_id": vocabulary - 128,
        "torch_dtype": "bfloat16",
    }


def shapes(*, dim: int, layers: int, wide: int, heads: int, vocabulary: int) -> dict[str, tuple[int, ...]]:
    """The published tensors."""
    block = {name: (dim, dim) for name in ("q_proj", "k_proj", "v_proj", "attn_out")}
    norms = {name: (dim,) for name in ("attn_norm", "ff_norm")}
    mlp = {"ff_proj": (wide, dim), "up_proj": (wide, dim), "ff_out": (dim, wide)}
    found: dict[str, tuple[int, ...]] = {}
    for layer in range(layers):
        inside = f"model.transformer.blocks.{layer}"
        found |= {f"{inside}.{name}.weight": shape for name, shape in {**block, **norms, **mlp}.items()}
    outside = {"wte": (vocabulary, dim), "ln_f": (dim,), "ff_out": (vocabulary, dim)}
    return found | {f"model.transformer.{name}.weight": shape for name, shape in outside.items()}


def write(folder: Path, sizes: dict[str, int], *, weights: bool) -> Path:
    """A folder as the hub has it; its weights in float32, which every processor computes fast."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(configuration(**sizes)))
    if weights:
        gen = torch.Generator().manual_seed(0)
        tensors = {
            name: torch.ones(shape)
            if len(shape) == 1
            else torch.randn(shape, generator=gen) / shape[-1] ** 0.5
            for name, shape in shapes(**sizes).items()
        }
        save_file(tensors, folder / "model.safetensors")
    return folder
