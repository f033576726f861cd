"""Frechet distance between two sets of features, each summed up as a Gaussian (Heusel et al. 2017)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.errors import InputError

RIDGE = 1e-6  # on both covariances, so that features that never vary do no harm


@dataclass(frozen=True, eq=False)
class Moments:
    """Mean and covariance of features."""

    mean: Float[Tensor, " d"]
    covariance: Float[Tensor, "d d"]

    @staticmethod
    def of(features: Float[Tensor, "n d"]) -> "Moments":
        """Those of n >= 2 vectors, float64."""
        if len(features) < 2:
            raise InputError("samples", "be at least 2 for a covariance", len(features))
        features = features.double()
        return Moments(features.mean(0), torch.cov(features.T))


def frechet(ours: Moments, reference: Moments) -> float:
    """|mu - nu|^2 + tr(S + R - 2 (R^1/2 S R^1/2)^1/2)."""
    here, there = _ridged(ours.covariance), _ridged(reference.covariance)
    root = _power(there, 0.5)
    middle = _power(root @ here @ root, 0.5)
    gap = (ours.mean - reference.mean).square().sum()
    return float(gap + here.trace() + there.trace() - 2 * middle.trace())


def pseudo_values(features: Float[Tensor, "n d"], reference: Moments) -> Float[Tensor, " n"]:
    """One value a sample whose mean is the Frechet distance: the distance plus the sample's influence on it.

    A distance between sets has no value of its own for each sample. Its first-order change when a sample
    gains weight does: 2 (mu - nu)(f - mu) + tr(A ((f - mu)(f - mu)^T - S)), A = I - R^1/2 (R^1/2 S R^1/2)^-1/2
    R^1/2. These sum to zero; resampling them is the infinitesimal jackknife (Efron 1982), so that paired
    comparisons of means are paired comparisons of distances.
    """
    ours = Moments.of(features)
    root = _power(_ridged(reference.covariance), 0.5)
    inner = _power(root @ _ridged(ours.covariance) @ root, -0.5)
    slope = torch.eye(len(root), dtype=torch.float64) - root @ inner @ root
    centred = features.double() - ours.mean
    linear = 2 * centred @ (ours.mean - reference.mean)
    quadratic = ((centred @ slope) * centred).sum(1)
    return frechet(ours, reference) + linear + quadratic - quadratic.mean()


def _ridged(covariance: Tensor) -> Tensor:
    return covariance.double() + RIDGE * torch.eye(len(covariance), dtype=torch.float64)


def _power(matrix: Tensor, power: float) -> Tensor:
    """A power of a symmetric positive matrix."""
    values, vectors = torch.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * values.clamp(min=1e-300) ** power) @ vectors.T
