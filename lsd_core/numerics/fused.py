"""Whether a fused Triton kernel replaces plain tensor operations: on an accelerator, if both agree there."""

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from lsd_core.errors import InputError

VARIABLE = "LSD_FUSED"
DEVICES = ("cuda",)  # types of devices that Triton compiles for
_found: dict[tuple[str, torch.device], bool] = {}


def usable(name: str, device: torch.device, trial: Callable[[torch.device], str]) -> bool:
    """Whether the kernel `name` replaces the plain path on this device.

    It does on a device of Triton's where Triton is installed, unless LSD_FUSED is 0. The first time it is tried:
    `trial` compares it with the plain path on a small batch there, and returns what differs, nothing if they agree.
    A kernel that differs or does not compile is left out for the rest of the process, with one line that says so.
    """
    if device.type not in DEVICES:
        return False
    key = (name, device)
    if key not in _found:
        possible = wanted() and find_spec("triton") is not None
        _found[key] = False  # whatever the trial itself draws, it draws by the plain path
        _found[key] = possible and _agrees(name, device, trial)
    return _found[key]


def wanted() -> bool:
    """Whether LSD_FUSED lets fused kernels be used: 1, the default, or 0; InputError for another value."""
    value = os.environ.get(VARIABLE) or "1"
    if value not in ("0", "1"):
        raise InputError(VARIABLE, "be 1, or 0 for plain operations", value)
    return value == "1"


def on_device(tensor: Tensor) -> AbstractContextManager[Any]:
    """The context in which a kernel is launched on a tensor: Triton takes the current device, whichever it is."""
    return torch.cuda.device(tensor.device) if tensor.is_cuda else nullcontext()


def _agrees(name: str, device: torch.device, trial: Callable[[torch.device], str]) -> bool:
    try:
        difference = trial(device)
    except Exception as error:  # a compiler's errors are of no common type
        difference = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    if difference:
        logging.getLogger("lsd").warning(
            "the fused kernel of %s is left out on %s, plain operations take its place: %s",
            name,
            device,
            difference,
        )
    return not difference
