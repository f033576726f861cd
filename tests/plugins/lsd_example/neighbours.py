"""A tiny masked network: the logits of a token are the sum of what its two neighbours say."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lsd_core.backbones.family import Family, Published
from lsd_core.backbones.frozen import FrozenNetwork
from lsd_core.backbones.layout import Fields, Layout
from lsd_core.processes import Absorbing
from lsd_core.storage.tensorfile import check_tensors

NAME = "neighbours"


class Network(nn.Module):
    """Two tables (V + 1, V): the row of a neighbour's token, the last row for MASK and for the ends."""

    def __init__(self, num_tokens: int) -> None:
        super().__init__()
        self.left = nn.Embedding(num_tokens + 1, num_tokens)
        self.right = nn.Embedding(num_tokens + 1, num_tokens)


class Neighbours(FrozenNetwork[Network]):
    """The backbone protocol: one call of `features`, and `head` on the rows that are read."""

    family = NAME
    time_free, normalised = True, True

    def __init__(self, name: str, config: dict[str, Any], network: Network) -> None:
        super().__init__(name, config, network)
        self.process = Absorbing.from_dict(config["process"])

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1), value=self.process.mask)
        return self.network.left(padded[:, :-2]) + self.network.right(padded[:, 2:])

    def head(self, rows: Tensor) -> Tensor:
        return rows.log_softmax(-1)


def empty(config: dict[str, Any]) -> Network:
    """Names and shapes without memory."""
    with torch.device("meta"):
        return Network(Absorbing.from_dict(config["process"]).num_tokens)


def build(name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> Neighbours:
    """On the driver and on every Ray worker, from our configuration and the tensors on the store."""
    network = empty(config)
    check_tensors(f"a {NAME} network", tensors, network.state_dict())
    network.load_state_dict(tensors, assign=True)
    return Neighbours(name, config, network)


def recognises(fields: Fields, names: set[str]) -> bool:
    """Whether a folder's config.json is one of ours."""
    return fields.get("model_type", object, None) == NAME


def layout(fields: Fields) -> Layout:
    """The published configuration as the library's own."""
    process = Absorbing(fields.get("vocab_size", int)).to_dict()
    return Layout({"family": NAME, "process": process, "length": fields.get("length", int)})


FAMILY = Family(
    name=NAME,
    build=build,
    published=Published(
        name="Neighbours",
        recognises=recognises,
        layout=layout,
        expected=lambda config: empty(config).state_dict(),
    ),
)
