"""The Frechet distance in closed form, and the values of samples that average to it."""

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.metrics.frechet import Moments, frechet, pseudo_values


def features(n: int, d: int, seed: int) -> torch.Tensor:
    gen = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=gen).double()
    return torch.randn(n, d, generator=gen).double() @ mix + torch.randn(d, generator=gen).double()


def test_known_distances() -> None:
    zero, ones = torch.zeros(3).double(), torch.eye(3).double()
    here = Moments(zero, ones)
    assert frechet(here, here) == pytest.approx(0.0, abs=1e-9)
    assert frechet(Moments(zero + 2, ones), here) == pytest.approx(12.0, abs=1e-6)
    assert frechet(Moments(zero, 9 * ones), here) == pytest.approx(3 * (3 - 1) ** 2, abs=1e-5)
    one, other = Moments.of(features(50, 3, 0)), Moments.of(features(60, 3, 1))
    assert frechet(one, other) == pytest.approx(frechet(other, one), rel=1e-6)
    assert frechet(one, other) > 0.1


def test_values_of_samples_average_to_the_distance_and_are_its_derivatives() -> None:
    ours, reference = features(40, 3, 2), Moments.of(features(60, 3, 3))
    values = pseudo_values(ours, reference)
    distance = frechet(Moments.of(ours), reference)
    assert float(values.mean()) == pytest.approx(distance, rel=1e-9)
    step = 1e-5
    for row in (0, 7, 39):  # give a sample a little more weight
        weight = torch.full((40,), (1 - step) / 40, dtype=torch.float64)
        weight[row] += step
        mean = weight @ ours
        # the weighted covariance, unbiased as torch.cov is
        covariance = (weight[:, None] * (ours - mean)).T @ (ours - mean) * 40 / 39
        moved = frechet(Moments(mean, covariance), reference)
        slope = (moved - distance) / step
        assert slope == pytest.approx(float(values[row]) - distance, rel=0.05, abs=0.05)
    assert float(values.std()) > 1.0


def test_one_sample_has_no_covariance() -> None:
    with pytest.raises(InputError, match="at least 2"):
        Moments.of(torch.zeros(1, 3))
