"""Devices: the one a worker computes on, and the one that holds a backbone."""

import copy
import os
import platform
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any, TypeVar

import torch
from torch import nn

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError

B = TypeVar("B", bound=AnyBackbone)


def worker_device() -> torch.device:
    """The first GPU this process may see, else the CPU. Ray shows a worker only what was reserved for it."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") == ""
    return torch.device("cuda" if torch.cuda.is_available() and not hidden else "cpu")


def known_device(name: torch.device | str) -> torch.device:
    """The device of that name, `cpu` or an accelerator that is here; else InputError."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError("device", "be cpu, cuda or cuda:N", str(name)) from None
    if device.type not in ("cpu", "cuda"):
        raise InputError("device", "be cpu, cuda or cuda:N", str(name))
    here = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= here:
        found = f"{here} here, with torch {torch.__version__}"
        raise InputError("device", "be one that is here", f"{name} ({found})", "use cpu")
    return device


def check_gpus(number: float) -> None:
    """Raise InputError unless this machine has so many GPUs; Ray would wait for them."""
    here = torch.cuda.device_count()
    if number > here:
        rule = f"be at most the number of GPUs here, {here} with torch {torch.__version__}"
        raise InputError("num_gpus", rule, f"{number:g}", "leave it out, or name a Ray cluster that has some")


def device_kind(device: torch.device) -> str:
    """Name of the hardware: of the card, or of the processor's architecture."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()


def device_of(backbone: Any) -> torch.device:
    """Device of a backbone's networks, wrapped ones included; the CPU where it has none."""
    inner = getattr(backbone, "inner", None)
    if inner is not None:
        return device_of(inner)
    for value in vars(backbone).values():
        if isinstance(value, nn.Module):
            for tensor in chain(value.parameters(), value.buffers()):
                return tensor.device
    return torch.device("cpu")


def computing_on(device: torch.device) -> AbstractContextManager[Any]:
    """New tensors lie there too, as in code that says no device; on the CPU nothing changes."""
    return nullcontext() if device.type == "cpu" else device


def place(backbone: B, device: torch.device) -> B:
    """The same backbone with its networks on a device; tables that are not networks follow their input."""
    if device.type == "cpu":
        return backbone
    placed = copy.copy(backbone)
    for name, value in vars(backbone).items():
        if isinstance(value, nn.Module):
            setattr(placed, name, _moved(value, device))
    return placed


def _moved(network: nn.Module, device: torch.device) -> nn.Module:
    """A copy on a device, its tensors straight from where they lie: no second copy in this machine's memory."""
    memo: dict[int, Any] = {
        id(each): nn.Parameter(each.to(device), each.requires_grad) for each in network.parameters()
    }
    memo |= {id(each): each.to(device) for each in network.buffers()}
    return copy.deepcopy(network, memo)
