"""What a table scored on one seed's samples."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lsd_core.metrics.across import Across

TOKEN_BYTES = 36  # of a number in a tuple
METRIC_BYTES = 256  # of one under its name, with a share of what holds it


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one table scored on one seed's samples."""

    metrics: dict[str, float]
    calls_mean: float
    calls_max: int
    scores: Float[np.ndarray, " n"]
    """Primary metric of every sample, for paired comparisons."""
    first: tuple[tuple[int, ...], ...] = ()
    """The first few of the sequences themselves, to be looked at."""
    device_kind: str = ""
    """The accelerator that drew them; empty for a CPU."""
    across: Across | None = None
    """Statistics across these samples; they lie in a file of their own, and are read by `read_across`."""

    @property
    def nbytes(self) -> int:
        """Memory that it takes, about, without the statistics across samples."""
        shown = sum(map(len, self.first))
        return self.scores.nbytes + TOKEN_BYTES * shown + METRIC_BYTES * (1 + len(self.metrics))
