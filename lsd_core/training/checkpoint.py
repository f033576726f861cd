"""Checkpoints of a training run: one safetensors file, replaced atomically, tied to its configuration."""

import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.numerics.canonical import canonical_json
from lsd_core.numerics.plain_text import parse_json

Groups = dict[str, dict[str, Tensor]]  # tensors by group and name: `network`, `average`, ...


def save_checkpoint(
    path: Path, config: dict[str, Any], step: int, optimiser: torch.optim.Optimizer, groups: Groups
) -> None:
    """Weights, whatever else is in `groups`, and the optimiser's moments after `step` steps."""
    tensors = {f"{group}/{key}": value.clone() for group, of in groups.items() for key, value in of.items()}
    for index, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"moment/{index}/{key}": value.clone() for key, value in moments.items()}
    scratch = path.with_suffix(".partial")
    save_file(tensors, scratch, {"step": str(step), "config": canonical_json(config)})
    scratch.replace(path)


def load_checkpoint(
    path: Path, config: dict[str, Any], optimiser: torch.optim.Optimizer
) -> tuple[int, Groups]:
    """Steps done and the groups that `save_checkpoint` wrote; the optimiser gets its moments back."""
    remedy = "remove it to start afresh"
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        recorded, step = parse_json(metadata["config"], "config"), int(metadata["step"])
        if step < 0:
            raise ValueError(f"{step} steps")
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(
            "checkpoint", "be one that `lsd train` wrote", f"{path} ({error!r})", remedy
        ) from None
    if recorded != config:
        raise InputError("checkpoint", "be of the same training configuration", str(path), remedy)
    groups: Groups = {}
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        group, _, name = key.partition("/")
        index, _, moment = name.partition("/")
        if group == "moment" and re.fullmatch("[0-9]{1,9}", index):
            state.setdefault(int(index), {})[moment] = value
        else:
            groups.setdefault(group, {})[name] = value
    shapes = [parameter.shape for of in optimiser.param_groups for parameter in of["params"]]
    for index, moments in state.items():
        sizes = {moments[name].shape for name in ("exp_avg", "exp_avg_sq") if name in moments}
        if index >= len(shapes) or "step" not in moments or sizes != {shapes[index]}:
            raise InputError("checkpoint", "hold the optimiser's moments", f"{path}, moment {index}", remedy)
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return step, groups
