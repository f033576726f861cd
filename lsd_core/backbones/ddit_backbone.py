"""Backbones on the diffusion transformer: SEDD, RADD, MDLM and Duo behind the common protocol."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from lsd_core.backbones.ddit import DDiT
from lsd_core.backbones.family import FAMILIES, Family, Published
from lsd_core.backbones.frozen import FrozenNetwork
from lsd_core.backbones.precision import BODY_DTYPES
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.reading import Reading, call_body, call_head
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing, process_from_dict
from lsd_core.storage.tensorfile import check_tensors

CONFIG_KEYS = {"family", "process", "length", "dim", "num_blocks", "num_heads", "cond_dim", "body_dtype"}
OPTIONAL_KEYS = {
    "condition_dtype",  # float32 where sigma is embedded outside the autocast
    "position_embedding",  # true where positions have a learned embedding
    "task",  # what its samples are judged on
    "vocabulary",  # how they are written
}


class DDiTBackbone(FrozenNetwork[DDiT]):
    """A frozen DDiT read as its family reads it: see `sedd.py`, `radd.py` and `mdlm.py`.

    Each network is run as it was trained: `reading.call_body` says how.
    """

    def __init__(self, name: str, config: dict[str, Any], network: DDiT) -> None:
        super().__init__(name, config, network)
        self.family: str = config["family"]
        self.reading = reading_of(self.family)
        self.process = Absorbing.from_dict(config["process"])
        self.time_free, self.normalised = self.reading.time_free, self.reading.normalised

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """One network call: (b, l) tokens at times t (b,) -> (b, l, dim)."""
        return call_body(self.network, self.config, x, self.reading.condition(self.process, t))

    def head(self, rows: Tensor) -> Tensor:
        """Log-weights (r, V) of the x0 distribution; see `protocol.Backbone`."""
        return self.reading.log_weights(call_head(self.network, rows), self.process.num_tokens)


def reading_of(family: str) -> Reading:
    """How a family on the diffusion transformer reads its output; InputError for one that is not."""
    reading = FAMILIES[family].reading if family in FAMILIES else None
    if reading is None:
        known = ", ".join(name for name, each in FAMILIES.items() if each.reading is not None)
        raise InputError("backbone config.family", f"be one of {known}", family)
    return reading


def build_network(config: dict[str, Any]) -> DDiT:
    """An untrained network of the configured size."""
    if set(config) - OPTIONAL_KEYS != CONFIG_KEYS:
        raise InputError("backbone config", f"have exactly the keys {sorted(CONFIG_KEYS)}", sorted(config))
    kind = reading_of(config["family"]).kind
    if config["body_dtype"] not in BODY_DTYPES:
        rule = f"be one of {', '.join(BODY_DTYPES)}"
        raise InputError("backbone config.body_dtype", rule, config["body_dtype"])
    process = process_from_dict(config["process"])
    if process.kind != kind:
        raise InputError(f"process of a {config['family']} backbone", f"be {kind}", process.kind)
    positions = config.get("position_embedding", False)
    if type(positions) is not bool:
        raise InputError("backbone config.position_embedding", "be true or false", positions)
    return DDiT(
        num_states=process.num_states,
        dim=config["dim"],
        num_blocks=config["num_blocks"],
        num_heads=config["num_heads"],
        cond_dim=config["cond_dim"],
        num_positions=config["length"] if positions else None,
    )


def empty_network(config: dict[str, Any]) -> DDiT:
    """Its names and shapes alone: no memory, no random numbers."""
    with torch.device("meta"):
        return build_network(config)


def build(
    name: str,
    config: dict[str, Any],
    tensors: dict[str, Tensor],
    kind: Callable[[str, dict[str, Any], DDiT], AnyBackbone] = DDiTBackbone,
) -> AnyBackbone:
    """The backbone with these tensors; a wrong layout names the first missing and unexpected keys."""
    network = empty_network(config)
    check_tensors(f"a {config['family']} network", tensors, network.state_dict())
    network.load_state_dict(tensors, assign=True)
    return kind(name, config, network)


def expected(config: dict[str, Any]) -> dict[str, Tensor]:
    """The names and shapes of a configured network's tensors, without their memory."""
    return dict(empty_network(config).state_dict())


def ddit_family(
    name: str,
    reading: Reading,
    kind: Callable[[str, dict[str, Any], DDiT], AnyBackbone] = DDiTBackbone,
    published: Published | None = None,
) -> Family:
    """A family that shares the diffusion transformer."""
    return Family(name=name, build=partial(build, kind=kind), reading=reading, published=published)
