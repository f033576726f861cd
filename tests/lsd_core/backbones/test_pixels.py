"""The pixel network's laws obey Bayes' rule exactly in the pixel's own evidence, and its file is checked."""

import pytest
import torch

from lsd_core.backbones import storage
from lsd_core.backbones.pixels import PixelBackbone, build_network
from lsd_core.backbones.protocol import DenseBackbone
from lsd_core.errors import InputError
from lsd_core.processes import Exponential, Gaussian, Geometric, Process, Uniform

PROCESSES: list[Process] = [
    Gaussian(5, Exponential(0.1, 100.0), rate_sigma=1.0, prior_sigma=10.0),
    Uniform(5, Geometric(1e-3, 8.0)),
]


def random_backbone(process: Process, seed: int = 0) -> PixelBackbone:
    torch.manual_seed(seed)
    config = {
        "family": "pixel_mlp",
        "process": process.to_dict(),
        "length": 6,
        "width": 8,
        "num_blocks": 2,
        "level_dim": 3,
    }
    return PixelBackbone("p", config, build_network(config))


def states(n: int) -> torch.Tensor:
    return torch.randint(0, 5, (n, 6), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
def test_laws_are_the_networks_prior_times_the_chance_of_what_is_seen(process: Process) -> None:
    backbone, x = random_backbone(process), states(7)
    t = torch.tensor([0.1, 0.1, 0.5, 0.9, 1.0, 0.5, 0.02], dtype=torch.float64)
    law = backbone.x0_probs(x, t)
    prior = backbone.network(x, t).double().softmax(-1)
    for row in range(7):
        chance = process.transition(float(process.noise.sigma_bar(t[row])))[:, x[row]].T  # [position, clean]
        expected = prior[row] * chance
        expected = expected / expected.sum(-1, keepdim=True)
        torch.testing.assert_close(law[row], expected, atol=1e-9, rtol=1e-6)
    almost_clean = backbone.x0_probs(x, torch.full((7,), 1e-4, dtype=torch.float64))
    assert float(almost_clean.gather(-1, x[..., None]).min()) > 0.9


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: process.kind)
def test_it_is_a_backbone_without_a_mask(process: Process) -> None:
    backbone, x = random_backbone(process), states(3)
    assert isinstance(backbone, DenseBackbone)
    score = backbone.score(x, torch.full((3,), 0.4, dtype=torch.float64))
    assert bool((score > 0).all())
    assert torch.equal(score.gather(-1, x[..., None]), torch.ones(3, 6, 1, dtype=torch.float64))


def test_a_file_brings_it_back_and_wrong_ones_are_named() -> None:
    backbone = random_backbone(PROCESSES[0])
    again = storage.from_bytes(storage.to_bytes(backbone), "file")
    assert again.fingerprint == backbone.fingerprint
    assert random_backbone(PROCESSES[0], 1).fingerprint != backbone.fingerprint
    with pytest.raises(InputError, match=r"tensor .* must have shape"):
        storage.build("p", backbone.config | {"width": 9}, backbone.tensors())
    with pytest.raises(InputError, match="missing"):
        storage.build("p", backbone.config | {"num_blocks": 3}, backbone.tensors())
    absorbing = {"kind": "absorbing", "num_tokens": 4, "noise": {"kind": "log_linear", "eps": 1e-3}}
    with pytest.raises(InputError, match="uniform or gaussian"):
        storage.build("p", backbone.config | {"process": absorbing}, backbone.tensors())
    with pytest.raises(InputError, match="have the keys"):
        storage.build("p", backbone.config | {"depth": 3}, backbone.tensors())
