"""Where a worker computes: the GPU that Ray gave it, else the CPU."""

import copy
import os
import platform
from typing import TypeVar

import torch
from torch import nn

from lsd_core.backbones.protocol import AnyBackbone

B = TypeVar("B", bound=AnyBackbone)


def worker_device() -> torch.device:
    """The first GPU this process may see, else the CPU. Ray shows a worker only what was reserved for it."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") == ""
    return torch.device("cuda" if torch.cuda.is_available() and not hidden else "cpu")


def device_kind(device: torch.device) -> str:
    """Name of the hardware: of the card, or of the processor's architecture."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()


def place(backbone: B, device: torch.device) -> B:
    """The same backbone with its networks on a device; tables that are not networks follow their input."""
    if device.type == "cpu":
        return backbone
    placed = copy.copy(backbone)
    for name, value in vars(backbone).items():
        if isinstance(value, nn.Module):
            setattr(placed, name, copy.deepcopy(value).to(device))
    return placed
