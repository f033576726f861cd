"""Files of the shipped judges: one safetensors file each, with its configuration."""

from collections.abc import Callable, Collection
from importlib import resources
from typing import Any, TypeVar

from torch import Tensor, nn

from lsd_core.errors import InputError
from lsd_core.storage.tensorfile import TensorFile, check_tensors

Network = TypeVar("Network", bound=nn.Module)


def read_judge(
    data: bytes,
    source: str,
    *,
    what: str,
    family: str,
    keys: Collection[str],
    build: Callable[[dict[str, Any]], Network],
    beside: Callable[[dict[str, Any]], dict[str, Tensor]] = lambda config: {},
) -> tuple[Network, TensorFile]:
    """The network in a file, its weights in place, and the file; anything else there raises InputError.

    `beside` gives the shapes of tensors that the file holds apart from the network's.
    """
    file = TensorFile.from_bytes(data, source, "judge")
    if set(file.config) != set(keys) or file.config["family"] != family:
        rule = f"have the keys {sorted(keys)} and the family {family!r}"
        raise InputError(f"configuration in {source}", rule, sorted(file.config))
    try:
        network, others = build(file.config), beside(file.config)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        rule = "describe a network that can be built"
        raise InputError(f"configuration in {source}", rule, repr(error)) from None
    check_tensors(what, file.tensors, {**network.state_dict(), **others})
    network.load_state_dict({name: file.tensors[name] for name in network.state_dict()})
    return network, file


def shipped_file(name: str) -> tuple[bytes, str]:
    """The file of a judge that ships with us, and where it lies."""
    file = resources.files("lsd_core.metrics.judges").joinpath("weights", f"{name}.safetensors")
    if not file.is_file():
        raise InputError("judge", "have its weights installed", name, f"train it: lsd train {name}")
    return file.read_bytes(), str(file)
