"""A network that replays its recorded outputs, to time what a step costs beside its network calls."""

from typing import Any

from torch import Tensor

from lsd_core.backbones.protocol import Backbone
from lsd_core.processes import Absorbing


class Replay:
    """Gives the features and the logits that `backbone` gave, in order, at no cost.

    A step is a function of its uniforms, so run again it asks for the same rows.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self.name, self.family, self.config = backbone.name, backbone.family, backbone.config
        self.process: Absorbing = backbone.process
        self.length, self.time_free, self.normalised = (
            backbone.length,
            backbone.time_free,
            backbone.normalised,
        )
        self._features: list[Tensor] = []
        self._logits: list[Tensor] = []
        self._seen = [0, 0]

    @property
    def logits(self) -> tuple[Tensor, ...]:
        """What the head has given."""
        return tuple(self._logits)

    def rewind(self) -> "Replay":
        """From the beginning again."""
        self._seen = [0, 0]
        return self

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        if self._seen[0] == len(self._features):
            self._features.append(self.backbone.features(x, t))
        self._seen[0] += 1
        return self._features[self._seen[0] - 1]

    def head(self, rows: Tensor) -> Tensor:
        if self._seen[1] == len(self._logits):
            self._logits.append(self.backbone.head(rows))
        self._seen[1] += 1
        return self._logits[self._seen[1] - 1]

    def tensors(self) -> dict[str, Any]:
        return self.backbone.tensors()

    @property
    def fingerprint(self) -> str:
        return self.backbone.fingerprint
