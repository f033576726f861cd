"""A certificate: an estimate in nats of a named divergence from, or to, a named reference."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """An estimate in nats a sequence, with what it is an estimate of."""

    kind: str
    """Which of the forms."""
    bounds: str
    """The divergence that its expectation is never below."""
    reference: str
    """The distribution that is compared with."""
    value_nats: float
    standard_error: float
    num_paths: int
    sequences: int
    """Sequences sent through the network for it."""

    @staticmethod
    def of(
        kind: str,
        bounds: str,
        reference: str,
        values: Float[Tensor, " n"],
        sequences: int,
        num_paths: int | None = None,
    ) -> "Certificate":
        """The mean of independent values, one for each path or, with `num_paths`, for each repeat."""
        return Certificate(
            kind=kind,
            bounds=bounds,
            reference=reference,
            value_nats=float(values.mean()),
            standard_error=float(values.std() / len(values) ** 0.5),
            num_paths=num_paths or len(values),
            sequences=sequences,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON, which has no infinity: an estimate that is not finite proves nothing and is None."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }
