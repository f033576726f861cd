"""Metric values of one set of samples."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lsd_core.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Metrics of the samples of one seed."""

    primary: Float[np.ndarray, " n"]
    """The task's primary metric, one value a sample; lower is better. Promotion pairs these."""
    metrics: Mapping[str, float]
    """Every metric by name, the mean of `primary` among them."""

    def __post_init__(self) -> None:
        if len(self.primary) < 1:
            raise InputError("samples", "be at least 1", len(self.primary))

    @property
    def samples(self) -> int:
        """Number of samples, n."""
        return len(self.primary)
