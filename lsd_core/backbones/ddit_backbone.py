"""SEDD- and RADD-type backbones: a diffusion transformer behind the common protocol."""

import math
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from lsd_core.backbones.ddit import DDiT
from lsd_core.backbones.fingerprint import fingerprint
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing
from lsd_core.tensorfile import check_tensors

CONFIG_KEYS = {"family", "process", "length", "dim", "num_blocks", "num_heads", "cond_dim", "body_dtype"}
OPTIONAL_KEYS = {"task", "vocabulary"}  # what its samples are judged on, and how they are written


class DDiTBackbone:
    """A frozen DDiT read as SEDD (Lou et al. 2024) or RADD (Ou et al. 2024) reads it.

    - `sedd`: conditioned on sigma_bar(t); the output is a log-score, logits - log(expm1 sigma_bar) - log V,
      so its log-weights are logits - log V, normalised only as well as it was trained.
    - `radd`: time-free; the log-softmax of the first V channels is log p(x0).

    The body runs in `body_dtype` under autocast where that is bfloat16; the head always in the parameters'
    own precision.
    """

    def __init__(self, name: str, config: dict[str, Any], network: DDiT) -> None:
        self.name, self.config, self.network = name, config, network.eval().requires_grad_(False)
        self.family: str = config["family"]
        self.process = Absorbing.from_dict(config["process"])
        self.length: int = config["length"]
        self.time_free = self.normalised = self.family == "radd"

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """One network call: (b, l) tokens at times t (b,) -> (b, l, dim)."""
        sigma_bar = None if self.time_free else self.process.noise.sigma_bar(t)
        low = self.config["body_dtype"] == "bfloat16"
        with torch.autocast(x.device.type, torch.bfloat16, enabled=low):
            return self.network.features(x, sigma_bar)

    def head(self, rows: Tensor) -> Tensor:
        """Log-weights (r, V) of the x0 law; see `protocol.Backbone`."""
        logits = self.network.head(rows.to(self.dtype))[:, : self.process.num_tokens]
        if self.normalised:
            return logits.log_softmax(-1)
        return logits - math.log(self.process.num_tokens)

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
    if config["family"] not in ("sedd", "radd"):
        raise InputError("backbone config.family", "be 'sedd' or 'radd'", config["family"])
    return DDiT(
        num_states=Absorbing.from_dict(config["process"]).num_states,
        dim=config["dim"],
        num_blocks=config["num_blocks"],
        num_heads=config["num_heads"],
        cond_dim=config["cond_dim"],
    )


def build(name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> DDiTBackbone:
    """The backbone with these tensors; a wrong layout names the first missing and unexpected keys."""
    network = build_network(config)
    check_tensors(f"a {config['family']} network", tensors, network.state_dict())
    network.load_state_dict(tensors)
    return DDiTBackbone(name, config, network)
