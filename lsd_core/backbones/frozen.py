"""Base class of backbones that are one torch network: name, configuration, tensors, fingerprint, device."""

from functools import cached_property
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from lsd_core.backbones.fingerprint import fingerprint

Network = TypeVar("Network", bound=nn.Module)
Frozen = TypeVar("Frozen", bound="FrozenNetwork[Any]")  # Self, which the checker of shapes cannot read


def tensors_once(network: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer once: tied ones under the first of their names."""
    found: dict[int, str] = {}
    state = network.state_dict()
    for name, tensor in state.items():
        where = tensor.untyped_storage()._cdata if tensor.is_meta else tensor.data_ptr()
        found.setdefault(where if tensor.numel() else id(tensor), name)
    return {name: state[name] for name in found.values()}


class FrozenNetwork(Generic[Network]):
    """A network that learns no more, with its name and the configuration that builds it.

    A base class, since `tensors`, `fingerprint` and `to` must be the same for all; what the network means is
    each family's own.
    """

    task: str | None = None
    """The task that its file declares beside the configuration."""

    def __init__(self, name: str, config: dict[str, Any], network: Network) -> None:
        self.name, self.config, self.network = name, config, network.eval().requires_grad_(False)
        self.length: int = config["length"]

    def to(self: Frozen, device: torch.device | str) -> Frozen:
        """This backbone, its network moved to a device: tokens and times are then expected there."""
        self.network.to(device)
        return self

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.network.state_dict())

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self.tensors(), self.config)
