"""The identity of a backbone: a hash of its canonical tensors and configuration, not of file bytes."""

import hashlib
from typing import Any

import torch
from torch import Tensor

from lsd_core.numerics.canonical import canonical_json


def fingerprint(tensors: dict[str, Tensor], config: dict[str, Any]) -> str:
    """SHA-256 over the configuration and, by sorted name, each tensor's name, dtype, shape and bytes.

    Tensors without memory, of a network that is planned and not loaded, have no bytes.
    """
    state = hashlib.sha256(canonical_json(config).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        state.update(canonical_json([name, str(tensor.dtype), list(tensor.shape)]).encode())
        if not tensor.is_meta:
            flat = tensor.cpu().contiguous().flatten().view(torch.uint8)  # NumPy has no bfloat16
            state.update(flat.numpy().data)
    return state.hexdigest()
