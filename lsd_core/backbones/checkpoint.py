"""Published weight files, read as tensors and nothing else: safetensors, or torch files without code.

A torch file is a pickle. It is opened with `weights_only=True`, which builds tensors, numbers and containers
and refuses everything else before it runs.
"""

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file
from torch import Tensor

from lsd_core.errors import InputError

_AGAIN = "download it again"
_DAMAGED = (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError)
BUFFERS = ("rotary_emb.inv_freq",)  # kept in published files beside the parameters, but not averaged


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a weight file by their published names, averaged weights in place, at least float32.

    A training checkpoint keeps the parameters under `model` or `state_dict` and their averages (EMA) as a list
    in the parameters' order, under `ema.shadow_params` or, within `model`, `ema_shadow_params`. Names lose
    the `.module.` that training on several devices puts in.
    """
    if path.suffix == ".safetensors":
        try:
            tensors: Mapping[str, Any] = load_file(path)
        except (safetensors.SafetensorError, OSError) as error:
            raise InputError(str(path), "be a whole safetensors file", _one_line(error), _AGAIN) from None
        averages = None
    else:
        tensors, averages = split(_read_torch(path), str(path))
    renamed = {_unwrapped(name): tensor for name, tensor in tensors.items()}
    if averages is not None:
        renamed = with_averages(renamed, averages, str(path))
    return {name: _widened(tensor) for name, tensor in renamed.items()}


def split(content: Any, source: str) -> tuple[dict[str, Tensor], list[Tensor] | None]:
    """(named tensors, averages or None) of what a torch file held."""
    if not isinstance(content, dict):
        raise InputError(source, "hold tensors by name", type(content).__name__)
    model = content.get("model", content.get("state_dict", content))
    if not isinstance(model, dict):
        raise InputError(f"model in {source}", "hold tensors by name", type(model).__name__)
    ema = content.get("ema")
    averages = ema.get("shadow_params") if isinstance(ema, dict) else model.get("ema_shadow_params")
    if ema is not None and averages is None:
        raise InputError(f"ema in {source}", "hold shadow_params", type(ema).__name__)
    if averages is not None and not isinstance(averages, list | tuple):
        raise InputError(f"averages in {source}", "be a list of tensors", type(averages).__name__)
    tensors = {name: value for name, value in model.items() if not str(name).startswith("ema_")}
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(f"{name} in {source}", "be a tensor with a name", type(value).__name__)
    return tensors, None if averages is None else list(averages)


def with_averages(tensors: dict[str, Tensor], averages: list[Any], source: str) -> dict[str, Tensor]:
    """The tensors with every parameter replaced by its average; the list follows the parameters' order."""
    names = [name for name in tensors if not name.endswith(BUFFERS)]
    if len(averages) != len(names):
        raise InputError(
            f"averages in {source}", f"be one for each of {len(names)} parameters", len(averages)
        )
    for index, (name, average) in enumerate(zip(names, averages, strict=True)):
        if not isinstance(average, Tensor) or average.shape != tensors[name].shape:
            shown = tuple(average.shape) if isinstance(average, Tensor) else type(average).__name__
            rule = f"have the shape of {name}, {tuple(tensors[name].shape)}"
            raise InputError(f"average {index} in {source}", rule, shown)
    return tensors | dict(zip(names, averages, strict=True))


def _read_torch(path: Path) -> Any:
    try:
        mapped = zipfile.is_zipfile(path)  # the format since torch 1.6: leaves unread what is not asked for
        with warnings.catch_warnings(action="ignore"):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        shown = f"a pickle that asks for {asked[1]}" if asked else "a pickle of something else"
        remedy = "nothing in it was run; save its state dict, best as safetensors"
        raise InputError(str(path), "hold tensors alone", shown, remedy) from None
    except _DAMAGED as error:
        raise InputError(str(path), "be a whole torch file of tensors", _one_line(error), _AGAIN) from None


def _one_line(error: Exception) -> str:
    """The first sentence of an error, and its kind."""
    first = (str(error).strip().splitlines() or [""])[0].split(". ")[0][:160]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _unwrapped(name: str) -> str:
    return name.removeprefix("module.").replace(".module.", ".")


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
