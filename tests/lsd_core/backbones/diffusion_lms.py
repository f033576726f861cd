"""Tiny checkpoints in the layouts of LLaDA and Dream, and their forward pass written out in float64."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

V, DIM, HEADS, WIDE, LAYERS, MASK = 40, 16, 4, 24, 2, 30
KV_HEADS = {"llada": 4, "dream": 2}
THETA = {"llada": 500.0, "dream": 1000.0}
EPS = {"llada": 1e-5, "dream": 1e-6}
BLOCK = {
    "llada": "model.transformer.blocks.{}.",
    "dream": "model.layers.{}.",
}
NAMES = {  # ours -> published, within a block
    "llada": (
        "attn_norm",
        "q_proj",
        "k_proj",
        "v_proj",
        "attn_out",
        "ff_norm",
        "ff_proj",
        "up_proj",
        "ff_out",
    ),
    "dream": (
        "input_layernorm",
        "self_attn.q_proj",
        "self_attn.k_proj",
        "self_attn.v_proj",
        "self_attn.o_proj",
        "post_attention_layernorm",
        "mlp.gate_proj",
        "mlp.up_proj",
        "mlp.down_proj",
    ),
}
OUTSIDE = {
    "llada": ("model.transformer.wte", "model.transformer.ln_f", "model.transformer.ff_out"),
    "dream": ("model.embed_tokens", "model.norm", "lm_head"),
}


def config(kind: str) -> dict:
    if kind == "llada":
        return {
            "model_type": "llada",
            "architectures": ["LLaDAModelLM"],
            "auto_map": {"AutoModel": "modeling_llada.LLaDAModelLM"},
            "d_model": DIM,
            "n_heads": HEADS,
            "n_kv_heads": KV_HEADS[kind],
            "n_layers": LAYERS,
            "mlp_hidden_size": WIDE,
            "embedding_size": V,
            "vocab_size": V,
            "max_sequence_length": 32,
            "rope": True,
            "rope_theta": THETA[kind],
            "rms_norm_eps": EPS[kind],
            "block_type": "llama",
            "activation_type": "silu",
            "layer_norm_type": "rms",
            "weight_tying": False,
            "mask_token_id": MASK,
        }
    return {
        "model_type": "Dream",
        "architectures": ["DreamModel"],
        "auto_map": {"AutoModel": "modeling_dream.DreamModel"},
        "hidden_size": DIM,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS[kind],
        "num_hidden_layers": LAYERS,
        "intermediate_size": WIDE,
        "vocab_size": V,
        "max_position_embeddings": 32,
        "rope_theta": THETA[kind],
        "rms_norm_eps": EPS[kind],
        "hidden_act": "silu",
        "use_sliding_window": False,
        "tie_word_embeddings": False,
        "mask_token_id": MASK,
    }


def tensors(kind: str, seed: int = 0) -> dict[str, Tensor]:
    """Random weights under the published names."""
    gen = torch.Generator().manual_seed(seed)
    kv = DIM // HEADS * KV_HEADS[kind]
    shapes = [
        (DIM,),
        (DIM, DIM),
        (kv, DIM),
        (kv, DIM),
        (DIM, DIM),
        (DIM,),
        (WIDE, DIM),
        (WIDE, DIM),
        (DIM, WIDE),
    ]
    found = {}
    for layer in range(LAYERS):
        for name, shape in zip(NAMES[kind], shapes, strict=True):
            key = BLOCK[kind].format(layer) + name
            found[f"{key}.weight"] = torch.randn(shape, generator=gen) * 0.4 + (len(shape) == 1)
            if kind == "dream" and name[-6:] in ("q_proj", "k_proj", "v_proj"):
                found[f"{key}.bias"] = torch.randn(shape[:1], generator=gen)
    for name, shape in zip(OUTSIDE[kind], [(V, DIM), (DIM,), (V, DIM)], strict=True):
        found[f"{name}.weight"] = torch.randn(shape, generator=gen) + (len(shape) == 1)
    return found


def write(folder: Path, kind: str, *, sharded: bool = False, **changes) -> Path:
    """A folder as the hub has them; `sharded` into two files with an index."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config(kind) | changes))
    made = tensors(kind)
    if not sharded:
        save_file(made, folder / "model.safetensors")
        return folder
    names = sorted(made)
    files = {name: f"model-0000{1 + (i % 2)}-of-00002.safetensors" for i, name in enumerate(names)}
    for file in set(files.values()):
        save_file({name: made[name] for name in names if files[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    return folder


def logits(kind: str, x: Tensor) -> Tensor:
    """Logits of the token at each position, (b, l, V), float64, from the papers' equations."""
    weights = {name: tensor.double() for name, tensor in tensors(kind).items()}
    size, group = DIM // HEADS, HEADS // KV_HEADS[kind]
    h = weights[f"{OUTSIDE[kind][0]}.weight"][x]
    angle = torch.arange(x.shape[1])[:, None] * THETA[kind] ** (-torch.arange(0, size, 2) / size).double()

    def normed(h: Tensor, weight: Tensor) -> Tensor:
        return weight * h / (h.pow(2).mean(-1, keepdim=True) + EPS[kind]).sqrt()

    def turned(heads: Tensor) -> Tensor:
        a, b = heads[..., : size // 2], heads[..., size // 2 :]
        cos, sin = angle.cos(), angle.sin()
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    for layer in range(LAYERS):
        prefix = BLOCK[kind].format(layer)
        norm, q, k, v, out, norm_2, gate, up, down = (prefix + name for name in NAMES[kind])

        def linear(name: str, h: Tensor) -> Tensor:
            return h @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)

        seen = normed(h, weights[f"{norm}.weight"])
        parts = [linear(name, seen).unflatten(-1, (-1, size)).transpose(1, 2) for name in (q, k, v)]
        query, key = turned(parts[0]), turned(parts[1]).repeat_interleave(group, 1)
        attention = (query @ key.transpose(2, 3) / size**0.5).softmax(-1)
        mixed = attention @ parts[2].repeat_interleave(group, 1)
        h = h + linear(out, mixed.transpose(1, 2).flatten(2))
        seen = normed(h, weights[f"{norm_2}.weight"])
        h = h + linear(down, torch.nn.functional.silu(linear(gate, seen)) * linear(up, seen))
    final = normed(h, weights[f"{OUTSIDE[kind][1]}.weight"]) @ weights[f"{OUTSIDE[kind][2]}.weight"].T
    return torch.cat([final[:, :1], final[:, :-1]], 1) if kind == "dream" else final
