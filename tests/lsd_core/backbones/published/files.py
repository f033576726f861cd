"""Small checkpoints in the published layouts, written as their makers write them."""

import json
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

from tests.lsd_core.backbones.published.transformer import Tensors, random_tensors

V, LENGTH, DIM, BLOCKS, HEADS, COND = 11, 7, 24, 2, 3, 16


def nested_config(graph: str = "absorb", **model: Any) -> dict[str, Any]:
    """A configuration as SEDD and RADD publish it, here of a small network."""
    return {
        "ngpus": 8,
        "tokens": V,
        "training": {"batch_size": 512, "ema": 0.9999},
        "graph": {"type": graph, "file": "data", "report_all": False},
        "noise": {"type": "loglinear", "sigma_min": 0.0001, "sigma_max": 20},
        "model": {
            "name": "small",
            "type": "ddit",
            "hidden_size": DIM,
            "cond_dim": COND,
            "length": LENGTH,
            "n_blocks": BLOCKS,
            "n_heads": HEADS,
            "scale_by_sigma": True,
            "dropout": 0.1,
        }
        | model,
    }


def flat_config(model_type: str = "mdlm", **changes: Any) -> dict[str, Any]:
    """A configuration as MDLM and Duo publish it."""
    return {
        "model_type": model_type,
        "architectures": [model_type.upper()],
        "vocab_size": V + 1,
        "model_length": LENGTH,
        "hidden_dim": DIM,
        "cond_dim": COND,
        "n_blocks": BLOCKS,
        "n_heads": HEADS,
        "dropout": 0.1,
        "time_conditioning": model_type == "duo",
    } | changes


def sedd_tensors(states: int = V + 1, dtype: torch.dtype = torch.float64) -> Tensors:
    return random_tensors(states=states, dim=DIM, blocks=BLOCKS, heads=HEADS, cond=COND, dtype=dtype)


def radd_tensors(dtype: torch.dtype = torch.float64) -> Tensors:
    return random_tensors(
        states=V + 1, dim=DIM, blocks=BLOCKS, heads=HEADS, cond=None, biased_norms=True, dtype=dtype
    )


def mdlm_tensors(states: int = V + 1, dtype: torch.dtype = torch.float64) -> Tensors:
    return random_tensors(
        states=states, dim=DIM, blocks=BLOCKS, heads=HEADS, cond=COND, prefix="backbone.", dtype=dtype
    )


def write_hub(folder: Path, config: dict[str, Any], tensors: Tensors, *, torch_file: bool = False) -> Path:
    """What a hub repository holds: config.json and the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if torch_file:
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, folder / "model.safetensors")
    return folder


def write_run(folder: Path, config: dict[str, Any], tensors: Tensors, averages: Tensors) -> Path:
    """What a SEDD or RADD training run leaves: parameters, optimiser, and averages by position."""
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra" / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "checkpoints-meta").mkdir()
    shadow = [tensor for name, tensor in averages.items() if not name.endswith("inv_freq")]
    state = {
        "optimizer": {"state": {0: {"step": torch.tensor(5.0)}}, "param_groups": [{"lr": 3e-4}]},
        "model": tensors,
        "ema": {"decay": 0.9999, "num_updates": 5, "shadow_params": shadow},
        "step": 5,
    }
    torch.save(state, folder / "checkpoints-meta" / "checkpoint.pth")
    return folder
