"""Projection on the first two principal components."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lsd_core.errors import InputError


@dataclass(frozen=True, eq=False)
class Plane:
    """Rows seen in the plane of their two largest principal components."""

    points: Float[np.ndarray, "n 2"]
    explained: tuple[float, float]
    """Share of the variance along each axis, in [0, 1]."""


def principal_plane(rows: Float[np.ndarray, "n d"]) -> Plane:
    """Project centred rows on the two directions of largest variance (singular value decomposition).

    A component's sign is arbitrary, so each is turned until its entry of largest magnitude is positive. With
    one column, or rows on a line, the second coordinate is 0.
    """
    if rows.ndim != 2 or rows.size == 0 or not np.isfinite(rows).all():
        raise InputError("rows", "be a finite matrix with at least one entry", rows.shape)
    centred = rows - rows.mean(axis=0)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    turned = np.where(right[np.arange(len(right)), np.abs(right).argmax(axis=1)] < 0, -1.0, 1.0)
    scores = left * singular * turned
    total = float((singular**2).sum())
    points = np.zeros((len(rows), 2))
    points[:, : min(2, scores.shape[1])] = scores[:, :2]
    shares = [float(value**2 / total) if total > 0 else 0.0 for value in singular[:2]] + [0.0, 0.0]
    return Plane(points, (shares[0], shares[1]))
