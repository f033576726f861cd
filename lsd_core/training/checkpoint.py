"""Checkpoints of a training run: one safetensors file, replaced atomically, tied to its configuration."""

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
REMEDY = "remove it to start afresh"


def save_checkpoint(
    path: Path, config: dict[str, Any], step: int, optimiser: torch.optim.Optimizer, groups: Groups
) -> None:
    """Weights, whatever else is in `groups`, and the optimiser's moments after `step` steps."""
    state = optimiser.state_dict()["state"]
    tensors = _flat(groups | {f"moment/{index}": moments for index, moments in state.items()})
    tensors = {key: value.clone() for key, value in tensors.items()}  # a file holds no tensor twice
    scratch = path.with_suffix(".partial")
    save_file(tensors, scratch, {"step": str(step), "config": canonical_json(config)})
    scratch.replace(path)


def load_checkpoint(
    path: Path, config: dict[str, Any], optimiser: torch.optim.Optimizer, like: Groups
) -> tuple[int, Groups]:
    """Steps done and the groups that `save_checkpoint` wrote; the optimiser gets its moments back.

    `like` has the groups as they are before training: each tensor is checked against the name, shape and type there,
    and for values that are not finite, before anything is done with it.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        recorded, step = parse_json(metadata["config"], "config"), int(metadata["step"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise InputError(
            "checkpoint", "be one that `lsd train` wrote", f"{path} ({error!r})", REMEDY
        ) from None
    if recorded != config:
        raise InputError("checkpoint", "be of the same training configuration", str(path), REMEDY)
    if not 1 <= step <= config["steps"]:
        rule = f"be of a step from 1 to {config['steps']}"
        raise InputError("checkpoint", rule, f"{path} (step {metadata['step']})", REMEDY)
    parameters = [parameter for of in optimiser.param_groups for parameter in of["params"]]
    moments = [
        {"step": torch.tensor(float(step)), "exp_avg": parameter, "exp_avg_sq": parameter}
        for parameter in parameters
    ]
    expected = _flat(like) | _flat({f"moment/{index}": of for index, of in enumerate(moments)})
    for key in sorted(expected.keys() | tensors.keys()):
        if wrong := _wrong(key, tensors.get(key), expected.get(key), step):
            rule = "hold the weights and the optimiser's moments of this training"
            raise InputError("checkpoint", rule, f"{path} ({key} {wrong})", REMEDY)
    state = {
        index: {name: tensors[f"moment/{index}/{name}"] for name in of} for index, of in enumerate(moments)
    }
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return step, {group: {name: tensors[f"{group}/{name}"] for name in of} for group, of in like.items()}


def _flat(groups: Groups) -> dict[str, Tensor]:
    return {f"{group}/{name}": value for group, of in groups.items() for name, value in of.items()}


def _wrong(key: str, tensor: Tensor | None, expected: Tensor | None, step: int) -> str:
    """What is wrong with a tensor of a checkpoint, or ""."""
    if tensor is None or expected is None:
        return "is missing" if tensor is None else "is of no use here"
    if (tensor.dtype, tensor.shape) != (expected.dtype, expected.shape):
        return f"is {tensor.dtype} {tuple(tensor.shape)}, not {expected.dtype} {tuple(expected.shape)}"
    if bad := int((~tensor.isfinite()).sum()):
        return f"has {bad} of {tensor.numel()} values that are not finite"
    group, _, name = key.rpartition("/")
    if group.startswith("moment/") and name == "step" and float(tensor) != step:
        return f"is {float(tensor):g} at step {step}"
    if group.startswith("moment/") and name == "exp_avg_sq" and bool((tensor < 0).any()):
        return "has negative values"
    return ""
