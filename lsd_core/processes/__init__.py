"""Forward processes and their noise schedules."""

from typing import Any

from lsd_core.errors import InputError
from lsd_core.processes.absorbing import Absorbing
from lsd_core.processes.gaussian import Gaussian
from lsd_core.processes.noise import Exponential, Geometric, LogLinear, Noise, noise_from_dict
from lsd_core.processes.protocol import Process
from lsd_core.processes.uniform import Uniform

__all__ = [
    "Absorbing",
    "Exponential",
    "Gaussian",
    "Geometric",
    "LogLinear",
    "Noise",
    "Process",
    "Uniform",
    "noise_from_dict",
    "process_from_dict",
]


def process_from_dict(record: dict[str, Any]) -> Process:
    """The process that `to_dict` described."""
    kinds: dict[Any, Any] = {"absorbing": Absorbing, "uniform": Uniform, "gaussian": Gaussian}
    kind = record.get("kind")
    if kind not in kinds:
        raise InputError("process.kind", f"be one of {sorted(kinds)}", kind)
    process: Process = kinds[kind].from_dict(record)
    return process
