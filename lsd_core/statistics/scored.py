"""Scores of one sampler, sample by sample: what promotion compares."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lsd_core.errors import InputError
from lsd_core.metrics.across import Across


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """What one table scored, per sample. Rows are sampling seeds, columns samples; lower is better."""

    method: str
    """`lsd`, `path_kl`, ..., or a control: `plain`, `cosine`, ..."""
    sampler: str
    """Base sampler."""
    nfe: int
    """Budget of network calls."""
    selection: Float[np.ndarray, "a m"]
    """Primary metric on seeds A, which select."""
    report: Float[np.ndarray, "b n"]
    """Primary metric on fresh seeds B, which decide and are quoted."""
    entropy: float
    """Diversity on the report seeds, in nats."""
    temperature: float = 1.0
    """What the log-scores were divided by."""
    key: str = ""
    """Whatever the caller finds it again by, such as the hash of its card."""
    across: tuple[Across, ...] = ()
    """Statistics across the samples of each report seed; none where they were not measured."""

    def __post_init__(self) -> None:
        for name in ("selection", "report"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
                shown = f"shape {values.shape}, {int((~np.isfinite(values)).sum())} values not finite"
                raise InputError(
                    f"{name} of {self.label}", "be finite values of shape (seeds, samples)", shown
                )
            object.__setattr__(self, name, values)
        if not np.isfinite(self.entropy):
            raise InputError(f"entropy of {self.label}", "be finite", self.entropy)

    @property
    def label(self) -> str:
        """For people: `lsd (euler, nfe 8)`."""
        heat = "" if self.temperature == 1 else f", temperature {self.temperature:g}"
        return f"{self.method} ({self.sampler}, nfe {self.nfe}{heat})"
