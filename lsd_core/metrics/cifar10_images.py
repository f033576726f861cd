"""Reader of the binary version of CIFAR-10: five files of records, a label and 3072 levels each."""

from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.errors import InputError

SIDE, CHANNELS = 32, 3
LENGTH = CHANNELS * SIDE * SIDE
FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))


def read_batch(path: Path) -> Int[Tensor, "n l"]:
    """Images of a binary file: records of a label and 3072 levels, channel by channel. Nothing is unpickled."""
    data = torch.frombuffer(bytearray(path.read_bytes()), dtype=torch.uint8)
    if len(data) == 0 or len(data) % (1 + LENGTH):
        rule = f"hold records of {1 + LENGTH} bytes, as the binary version of CIFAR-10 does"
        raise InputError(str(path), rule, f"{len(data)} bytes", "download it again")
    return data.view(-1, 1 + LENGTH)[:, 1:].long()
