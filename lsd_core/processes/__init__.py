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

MOST_TOKENS = 2**24
"""Of a vocabulary: a hundred times the largest there is."""


def process_from_dict(record: dict[str, Any]) -> Process:
    """The process that `to_dict` described."""
    kinds: dict[Any, Any] = {"absorbing": Absorbing, "uniform": Uniform, "gaussian": Gaussian}
    try:
        kind, num_tokens = record.get("kind"), record.get("num_tokens")
        if kind not in kinds:
            raise InputError("process.kind", f"be one of {sorted(kinds)}", kind)
        if type(num_tokens) is not int or not 2 <= num_tokens <= MOST_TOKENS:
            raise InputError("process.num_tokens", f"be an integer in 2..{MOST_TOKENS}", num_tokens)
        process: Process = kinds[kind].from_dict(record)
        return process
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        rule = "be a forward process, as `Process.to_dict` writes it"
        raise InputError("process", rule, f"{record} ({error!r})") from None
