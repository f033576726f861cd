"""Checkpoints of a training run: one safetensors file, replaced atomically, tied to its configuration."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from lsd_core.errors import InputError
from lsd_core.numerics.canonical import canonical_json
from lsd_core.numerics.plain_text import parse_json
from lsd_core.training.optimisers import moments_like, moments_of, restore_moments

Groups = dict[str, dict[str, Tensor]]  # tensors by group and name: `network`, `average`, ...
REMEDY = "remove it to start afresh"


def save_checkpoint(
    path: Path, config: dict[str, Any], step: int, optimisers: Sequence[Optimizer], groups: Groups
) -> None:
    """Weights, whatever else is in `groups`, and the optimisers' moments after `step` steps."""
    tensors = _flat(groups | _moments(moments_of(optimisers)))
    tensors = {key: value.clone() for key, value in tensors.items()}  # a file holds no tensor twice
    scratch = path.with_suffix(".partial")
    save_file(tensors, scratch, {"step": str(step), "config": canonical_json(config)})
    scratch.replace(path)


def load_checkpoint(
    path: Path, config: dict[str, Any], optimisers: Sequence[Optimizer], like: Groups
) -> tuple[int, Groups]:
    """Steps done and the groups that `save_checkpoint` wrote; the optimisers get their moments back.

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
    moments = moments_like(optimisers, step)
    expected = _flat(like | _moments(moments))
    for key in sorted(expected.keys() | tensors.keys()):
        if wrong := _wrong(key, tensors.get(key), expected.get(key), step):
            rule = "hold the weights and the optimiser's moments of this training"
            raise InputError("checkpoint", rule, f"{path} ({key} {wrong})", REMEDY)
    kept = [{name: tensors[f"moment/{index}/{name}"] for name in of} for index, of in enumerate(moments)]
    restore_moments(optimisers, kept)
    return step, {group: {name: tensors[f"{group}/{name}"] for name in of} for group, of in like.items()}


def _moments(of: Sequence[dict[str, Tensor]]) -> Groups:
    return {f"moment/{index}": moments for index, moments in enumerate(of)}


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
