"""Base class of wrappers that delegate to another backbone."""

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.processes import Absorbing


class Wrapped:
    """The same backbone in all but what a subclass changes; a `Backbone`."""

    def __init__(self, inner: Backbone) -> None:
        self.inner = inner
        self.name, self.family, self.config = inner.name, inner.family, inner.config
        self.process: Absorbing = inner.process
        self.length, self.time_free, self.normalised = inner.length, inner.time_free, inner.normalised

    def features(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l d"]:
        """One network call."""
        return self.inner.features(x, t)

    def head(self, rows: Float[Tensor, "r d"]) -> Float[Tensor, "r v"]:
        """Log-weights at rows of features."""
        return self.inner.head(rows)

    def tensors(self) -> dict[str, Any]:
        """What is published."""
        return self.inner.tensors()

    @property
    def fingerprint(self) -> str:
        """Names config and tensors."""
        return self.inner.fingerprint
