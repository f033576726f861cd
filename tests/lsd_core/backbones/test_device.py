"""A backbone knows where it lies, and work is done there; what is not here is refused by name."""

import pytest
import torch
from torch import nn

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.device import computing_on, device_of, known_device, place
from lsd_core.backbones.metered import Metered
from lsd_core.backbones.wrapped import Wrapped
from lsd_core.errors import InputError


class Holder:
    """A backbone only in that it holds a network."""

    def __init__(self, network: nn.Module) -> None:
        self.label, self.network = "held", network


def test_a_backbone_is_where_its_networks_are_whatever_is_wrapped_around_it() -> None:
    backbone = load_backbone("countdown")
    assert device_of(backbone) == device_of(Metered(backbone)) == torch.device("cpu")
    assert device_of(Holder(nn.Linear(2, 2, device="meta"))) == torch.device("meta")
    inside = Wrapped.__new__(Wrapped)
    inside.inner = Holder(nn.BatchNorm1d(3, affine=False, device="meta"))  # type: ignore[assignment]
    assert device_of(inside) == torch.device("meta")
    assert device_of(load_backbone("countdown-exact")) == torch.device("cpu")  # tables follow their input


def test_a_placed_backbone_is_a_copy() -> None:
    backbone = load_backbone("countdown")
    assert device_of(place(backbone, torch.device("meta"))) == torch.device("meta")
    assert device_of(backbone) == torch.device("cpu")


def test_new_tensors_lie_where_the_work_is() -> None:
    with computing_on(torch.device("meta")):
        assert torch.zeros(2).device.type == "meta"
    with computing_on(torch.device("cpu")):
        assert torch.zeros(2).device.type == "cpu"


@pytest.mark.parametrize("name", ["tpu", "meta", "cuda:99"])
def test_a_device_that_is_not_here_is_refused(name: str) -> None:
    assert known_device("cpu") == torch.device("cpu")
    with pytest.raises(InputError, match="device must be"):
        known_device(name)
