"""Judge of the digits task: a classifier trained on images that no backbone was trained on."""

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from lsd_core.metrics.frechet import Moments
from lsd_core.metrics.judges.judge_file import read_judge, shipped_file
from lsd_core.storage.tensorfile import TensorFile

NAME = "digits-judge"
FAMILY = "digit_classifier"
CONFIG_KEYS = {"family", "length", "num_levels", "hidden", "num_features", "num_labels"}
REFERENCE = ("reference.mean", "reference.covariance", "reference.labels")


class Classifier(nn.Module):
    """Pixels -> features -> logits of the ten digits."""

    def __init__(
        self, *, length: int, num_levels: int, hidden: int, num_features: int, num_labels: int
    ) -> None:
        super().__init__()
        self.top = num_levels - 1
        self.first, self.second = nn.Linear(length, hidden), nn.Linear(hidden, num_features)
        self.head = nn.Linear(num_features, num_labels)

    def features(self, pixels: Int[Tensor, "n l"]) -> Float[Tensor, "n d"]:
        """What the last layer reads."""
        return F.silu(self.second(F.silu(self.first(2 * pixels.float() / self.top - 1))))

    def forward(self, pixels: Int[Tensor, "n l"]) -> Float[Tensor, "n c"]:
        return self.head(self.features(pixels))


class DigitsJudge:
    """A frozen classifier, and the features and labels of the real images it was trained on."""

    def __init__(
        self, config: dict[str, Any], network: Classifier, reference: Moments, labels: Float[Tensor, " c"]
    ) -> None:
        self.config, self.network = config, network.eval().requires_grad_(False)
        self.reference, self.labels = reference, labels
        """Moments of the features of real images, and the shares of their labels."""

    @torch.inference_mode()
    def features(self, pixels: Int[Tensor, "n l"]) -> Float[Tensor, "n d"]:
        """Features, float64."""
        return self.network.features(pixels).double()

    @torch.inference_mode()
    def probs(self, pixels: Int[Tensor, "n l"]) -> Float[Tensor, "n c"]:
        """The classifier's probabilities of the digits, float64."""
        return self.network(pixels).double().softmax(-1)

    def to_file(self, notes: dict[str, Any]) -> TensorFile:
        own = (self.reference.mean, self.reference.covariance, self.labels)
        tensors = {**self.network.state_dict(), **dict(zip(REFERENCE, own, strict=True))}
        return TensorFile(name=NAME, config=self.config, tensors=tensors, notes=notes)

    @staticmethod
    def from_bytes(data: bytes, source: str) -> "DigitsJudge":
        """The judge in a file; a file of anything else, or of other shapes, raises InputError."""
        network, file = read_judge(
            data,
            source,
            what="the judge of digits",
            family=FAMILY,
            keys=CONFIG_KEYS,
            build=build_classifier,
            beside=_reference_shapes,
        )
        mean, covariance, shares = (file.tensors[key].double() for key in REFERENCE)
        return DigitsJudge(file.config, network, Moments(mean, covariance), shares)


def _reference_shapes(config: dict[str, Any]) -> dict[str, Tensor]:
    size, labels = config["num_features"], config["num_labels"]
    shapes = (torch.zeros(size), torch.zeros(size, size), torch.zeros(labels))
    return dict(zip(REFERENCE, shapes, strict=True))


def build_classifier(config: dict[str, Any]) -> Classifier:
    """An untrained network of the configured size."""
    return Classifier(**{key: value for key, value in config.items() if key != "family"})


@cache
def shipped_judge() -> DigitsJudge:
    """The judge that ships with us."""
    return DigitsJudge.from_bytes(*shipped_file(NAME))
