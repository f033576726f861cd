"""Backbones on the diffusion transformer: SEDD, RADD and MDLM behind the common protocol."""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lsd_core.backbones import mdlm, radd, sedd
from lsd_core.backbones.ddit import DDiT
from lsd_core.backbones.fingerprint import fingerprint
from lsd_core.backbones.reading import Reading
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing
from lsd_core.tensorfile import check_tensors

READINGS: dict[str, Reading] = sedd.READINGS | radd.READINGS | mdlm.READINGS
CONFIG_KEYS = {"family", "process", "length", "dim", "num_blocks", "num_heads", "cond_dim", "body_dtype"}
OPTIONAL_KEYS = {
    "condition_dtype",  # float32 where sigma is embedded outside the autocast
    "task",  # what its samples are judged on
    "vocabulary",  # how they are written
}


class DDiTBackbone:
    """A frozen DDiT read as its family reads it: see `sedd.py`, `radd.py` and `mdlm.py`.

    The body runs in `body_dtype` under autocast where that is a half type, otherwise in the parameters' own
    precision, and the head always so. The condition is embedded in the body's type too, unless
    `condition_dtype` says float32: each network is run as it was trained.
    """

    def __init__(self, name: str, config: dict[str, Any], network: DDiT) -> None:
        self.name, self.config, self.network = name, config, network.eval().requires_grad_(False)
        self.family: str = config["family"]
        self.reading = READINGS[self.family]
        self.process = Absorbing.from_dict(config["process"])
        self.length: int = config["length"]
        self.time_free, self.normalised = self.reading.time_free, self.reading.normalised

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """One network call: (b, l) tokens at times t (b,) -> (b, l, dim)."""
        told = self.reading.condition(self.process, t)
        low: torch.dtype = getattr(torch, self.config["body_dtype"])
        half = low != torch.float32
        with torch.autocast(x.device.type, low, enabled=half and "condition_dtype" not in self.config):
            condition = self.network.condition(told)
        with torch.autocast(x.device.type, low, enabled=half):
            return self.network.body(x, condition)

    def head(self, rows: Tensor) -> Tensor:
        """Log-weights (r, V) of the x0 law; see `protocol.Backbone`."""
        return self.reading.log_weights(self.network.head(rows.to(self.dtype)), self.process.num_tokens)

    def to(self, device: torch.device | str) -> "DDiTBackbone":
        """This backbone, its network moved to a device: tokens and times are then expected there."""
        self.network.to(device)
        return self

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.network.state_dict())

    @property
    def dtype(self) -> torch.dtype:
        return self.network.output_layer.linear.weight.dtype

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.tensors(), self.config)


def build_network(config: dict[str, Any]) -> DDiT:
    """An untrained network of the configured size."""
    if set(config) - OPTIONAL_KEYS != CONFIG_KEYS:
        raise InputError("backbone config", f"have exactly the keys {sorted(CONFIG_KEYS)}", sorted(config))
    if config["family"] not in READINGS:
        raise InputError("backbone config.family", f"be one of {', '.join(READINGS)}", config["family"])
    if config["body_dtype"] not in radd.BODY_DTYPES:
        rule = f"be one of {', '.join(radd.BODY_DTYPES)}"
        raise InputError("backbone config.body_dtype", rule, config["body_dtype"])
    return DDiT(
        num_states=Absorbing.from_dict(config["process"]).num_states,
        dim=config["dim"],
        num_blocks=config["num_blocks"],
        num_heads=config["num_heads"],
        cond_dim=config["cond_dim"],
    )


def empty_network(config: dict[str, Any]) -> DDiT:
    """Its names and shapes alone: no memory, no random numbers."""
    with torch.device("meta"):
        return build_network(config)


def build(name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> DDiTBackbone:
    """The backbone with these tensors; a wrong layout names the first missing and unexpected keys."""
    network = empty_network(config)
    check_tensors(f"a {config['family']} network", tensors, network.state_dict())
    network.load_state_dict(tensors, assign=True)
    return DDiTBackbone(name, config, network)
