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
from lsd_core.numerics.plain_text import parse_json

INDEX = ".index.json"
_AGAIN = "download it again"
_DAMAGED = (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError)
CONVERT = (  # a training framework keeps its settings as objects beside the weights
    "nothing in it was run; if you trust who made it, convert it: import torch; "
    "all = torch.load(FILE, weights_only=False); "
    "torch.save({key: all[key] for key in ('state_dict', 'ema') if key in all}, FILE)"
)
AVERAGES = ("ema", "ema_state_dict", "model_ema", "ema_model", "ema_weights")  # keys of averaged weights
_AVERAGED = re.compile(r"(?:^|[_.])ema(?:$|[_.])|averaged?(?:$|[_.])|shadow", re.IGNORECASE)
Averages = list[Any] | dict[str, Tensor]
BUFFERS = ("rotary_emb.inv_freq",)  # kept in published files beside the parameters, but not averaged


def read_tensors(path: Path, *, widen: bool = True) -> dict[str, Tensor]:
    """The tensors of a weight file by their published names, averaged weights in place; widened, at least float32.

    Of an index file (`model.safetensors.index.json`) the tensors of all its shards, which lie beside it.

    A training checkpoint keeps the parameters under `model` or `state_dict` and their averages (EMA) by name, under
    one of `AVERAGES`, or as a list in the parameters' order, in `shadow_params` there or, within `model`, in
    `ema_shadow_params`. Averages under any other key are refused, since raw weights are not what is meant. Names
    lose the `module.` and `_orig_mod.` that training on several devices and compilation put in.
    """
    if path.name.endswith(INDEX):
        return _sharded(path, widen)
    if path.suffix == ".safetensors":
        try:
            tensors: Mapping[str, Any] = load_file(path)
        except (safetensors.SafetensorError, OSError) as error:
            raise InputError(str(path), "be a whole safetensors file", _one_line(error), _AGAIN) from None
        averages = None
    else:
        tensors, averages = split(_read_torch(path), str(path))
    renamed = {_unwrapped(name): tensor for name, tensor in tensors.items()}
    if isinstance(averages, dict):
        renamed = with_named_averages(renamed, averages, str(path))
    elif averages is not None:
        renamed = with_averages(renamed, averages, str(path))
    return {name: _widened(tensor) if widen else tensor for name, tensor in renamed.items()}


def _sharded(index: Path, widen: bool) -> dict[str, Tensor]:
    """The tensors that an index lists, from the shards beside it."""
    tensors: dict[str, Tensor] = {}
    for name in shard_names(index):
        file = index.parent / name
        if not file.is_file():
            raise InputError(f"shards of {index}", "lie beside it", f"no {name}", _AGAIN)
        tensors |= read_tensors(file, widen=widen)
    missing = sorted({_unwrapped(name) for name in _weight_map(index)} - set(tensors))
    if missing:
        raise InputError(f"shards of {index}", "hold every tensor that it lists", f"no {missing[0]}", _AGAIN)
    return tensors


def shard_names(index: Path) -> list[str]:
    """The shards of an index file, in the order of their names."""
    return sorted(set(_weight_map(index).values()))


def _weight_map(index: Path) -> dict[str, str]:
    """Tensor -> file, as an index says."""
    record = parse_json(index.read_bytes(), str(index), "be JSON")
    names = record.get("weight_map") if isinstance(record, dict) else None
    if not isinstance(names, dict) or not names or not all(map(_is_shard, names.values())):
        rule = "hold weight_map, the file of each tensor in its own folder"
        raise InputError(str(index), rule, type(names).__name__)
    return names


def _is_shard(name: Any) -> bool:
    return (
        isinstance(name, str) and re.fullmatch(r"[\w-][\w.-]*\.(safetensors|bin)", name, re.ASCII) is not None
    )


def split(content: Any, source: str) -> tuple[dict[str, Tensor], Averages | None]:
    """(named tensors, averages or None) of what a torch file held."""
    if not isinstance(content, dict):
        raise InputError(source, "hold tensors by name", type(content).__name__)
    given = [key for key in AVERAGES if content.get(key) is not None]
    if len(given) > 1:
        raise InputError(f"averages in {source}", "stand under one key", " and ".join(given))
    averages = _averages(content[given[0]], f"{given[0]} in {source}") if given else None
    rest = {key: value for key, value in content.items() if key not in AVERAGES}
    beside = {key: value for key, value in rest.items() if not isinstance(value, int | float | str)}
    model = rest.get("model", rest.get("state_dict", beside if given else rest))
    if not isinstance(model, dict):
        raise InputError(f"model in {source}", "hold tensors by name", type(model).__name__)
    if averages is None and "ema_shadow_params" in model:
        averages = _averages(model["ema_shadow_params"], f"ema_shadow_params in {source}")
    for key, value in [*rest.items(), *model.items()]:
        if key != "ema_shadow_params" and _AVERAGED.search(str(key)) and _holds_tensors(value):
            remedy = f"keep its weights as they are to be used under model, or averages under {AVERAGES[0]}"
            raise InputError(
                f"averages in {source}", f"stand under one of {', '.join(AVERAGES)}", key, remedy
            )
    tensors = {name: value for name, value in model.items() if not str(name).startswith("ema_")}
    if not tensors and isinstance(averages, dict):
        tensors = averages
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(f"{name} in {source}", "be a tensor with a name", type(value).__name__)
    return tensors, averages


def _averages(found: Any, field: str) -> Averages:
    """Averages by name, or in the parameters' order."""
    if isinstance(found, dict) and "shadow_params" in found:
        found = found["shadow_params"]
    for inner in ("module", "state_dict", "shadow"):  # as timm and others wrap them
        if isinstance(found, dict) and isinstance(found.get(inner), dict):
            found = found[inner]
    if isinstance(found, list | tuple):
        return list(found)
    if isinstance(found, dict) and found and all(isinstance(value, Tensor) for value in found.values()):
        return {str(name): value for name, value in found.items()}
    rule = "hold shadow_params, a list of tensors, or tensors by name"
    raise InputError(field, rule, type(found).__name__)


def _holds_tensors(value: Any) -> bool:
    parts = (
        value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else [value]
    )
    return any(isinstance(part, Tensor) and part.ndim > 0 for part in parts)


def with_named_averages(
    tensors: dict[str, Tensor], averages: dict[str, Tensor], source: str
) -> dict[str, Tensor]:
    """The tensors with every parameter replaced by its average of the same name."""
    named = {_unwrapped(name): value for name, value in averages.items() if value.ndim > 0 or name in tensors}
    expected = {name for name in tensors if not name.endswith(BUFFERS)}
    missing, unexpected = sorted(expected - set(named)), sorted(set(named) - set(tensors))
    if missing or unexpected:
        shown = f"missing {missing[:1] or 'none'}, unexpected {unexpected[:1] or 'none'}"
        raise InputError(f"averages in {source}", "be those of the parameters", shown)
    for name, value in named.items():
        if value.shape != tensors[name].shape:
            rule = f"have shape {tuple(tensors[name].shape)}"
            raise InputError(f"average {name} in {source}", rule, tuple(value.shape))
    return tensors | named


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
        raise InputError(str(path), "hold tensors alone", shown, CONVERT) from None
    except _DAMAGED as error:
        raise InputError(str(path), "be a whole torch file of tensors", _one_line(error), _AGAIN) from None


def _one_line(error: Exception) -> str:
    """The first sentence of an error, and its kind."""
    first = (str(error).strip().splitlines() or [""])[0].split(". ")[0][:160]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _unwrapped(name: str) -> str:
    for wrapper in ("module.", "_orig_mod."):
        name = name.removeprefix(wrapper).replace(f".{wrapper}", ".")
    return name


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
