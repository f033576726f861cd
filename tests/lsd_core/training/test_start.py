"""A time-conditioned network that starts from a time-free one computes the same, at every time."""

import pytest
import torch

from lsd_core.backbones.ddit_backbone import DDiTBackbone, build_network
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing
from lsd_core.training.start import start_from


def random_backbone(family: str, dim: int = 12, cond_dim: int | None = None) -> DDiTBackbone:
    config = {
        "family": family,
        "process": Absorbing(5).to_dict(),
        "length": 6,
        "dim": dim,
        "num_blocks": 2,
        "num_heads": 2,
        "cond_dim": cond_dim,
        "body_dtype": "float32",
    }
    torch.manual_seed(3)
    network = build_network(config)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return DDiTBackbone(family, config, network)


def test_the_start_is_the_same_function_and_time_can_be_learned() -> None:
    free, timed = random_backbone("radd"), random_backbone("sedd", cond_dim=8)
    start_from(timed.network, free)
    x = torch.randint(0, 6, (4, 6), generator=torch.Generator().manual_seed(0))
    expected = free.network(x, None)
    for sigma_bar in (0.01, 1.0, 5.0):
        got = timed.network(x, torch.full((4,), sigma_bar))
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    timed.network.requires_grad_(True)
    timed.network(x, torch.full((4,), 1.0)).square().sum().backward()
    modulation = timed.network.blocks[0].adaLN_modulation
    assert modulation is not None
    assert float(modulation.weight.grad.abs().max()) > 0  # the time's weights are zero, but not stuck there


def test_equal_families_start_as_they_are_and_other_sizes_are_named() -> None:
    one, other = random_backbone("sedd", cond_dim=8), random_backbone("sedd", cond_dim=8)
    torch.nn.init.zeros_(other.network.output_layer.linear.weight)
    start_from(other.network, one)
    assert torch.equal(other.network.output_layer.linear.weight, one.network.output_layer.linear.weight)
    with pytest.raises(InputError, match="tensor"):
        start_from(random_backbone("sedd", dim=16, cond_dim=8).network, random_backbone("radd"))
    with pytest.raises(InputError, match="tensors must be those of a network to start from"):
        start_from(random_backbone("radd").network, one)
