"""The environment record: what results may depend on besides the spec. No clock, host or path."""

import platform
from functools import cache
from importlib import metadata

import torch

version = cache(metadata.version)  # which reads a file, and every card has a record


def environment(device: str = "cpu", threads: int = 1) -> dict[str, str | int]:
    """Device kind, threads a worker, and the versions of what computes and stores."""
    kind = torch.cuda.get_device_name() if device == "cuda" else platform.machine()
    return {
        "device": device,
        "device_kind": kind,
        "threads": threads,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "pyarrow": version("pyarrow"),
    }
