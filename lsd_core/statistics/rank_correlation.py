"""Spearman rank correlation."""

import numpy as np
from jaxtyping import Float

from lsd_core.errors import InputError


def spearman(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " m"]) -> float:
    """Spearman's rank correlation in [-1, 1]; ties share their mean rank. NaN where one side is constant."""
    if len(a) != len(b) or len(a) < 2:
        raise InputError("values to rank", "be two lists of one length >= 2", (len(a), len(b)))
    x, y = (ranks(values) - (len(values) - 1) / 2 for values in (a, b))
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / spread if spread > 0 else float("nan")


def ranks(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Rank of each value, 0 the smallest; equal values get the mean of their ranks."""
    ascending = np.sort(values)
    first = np.searchsorted(ascending, values, side="left")
    last = np.searchsorted(ascending, values, side="right") - 1
    return np.asarray((first + last) / 2, dtype=np.float64)
