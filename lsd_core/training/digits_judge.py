"""Train the judge of digits: a classifier on a part of the images of its own.

What samples are compared with are images that it was not trained on, as it was not on samples: on its own
images a classifier's features are further apart.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F

from lsd_core.metrics.frechet import Moments, frechet
from lsd_core.metrics.judges.digits_judge import FAMILY, DigitsJudge, build_classifier
from lsd_core.numerics.canonical import derive_seed
from lsd_core.tasks.digit_images import LENGTH, NUM_LABELS, NUM_LEVELS, load_images

Report = Callable[
    [int, float], None
]  # (steps done, share of the backbones' images that is classified rightly)


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """Size and schedule of the classifier's training."""

    hidden: int = 64
    """Width of the first layer."""
    num_features: int = 16
    """Width of what the last layer reads, whose moments are compared."""
    steps: int = 1500
    """Optimiser steps."""
    batch: int = 64
    """Images a step."""
    lr: float = 2e-3
    """Peak learning rate, then linearly down to nothing."""
    weight_decay: float = 0.05
    """Decoupled (AdamW)."""
    seed: int = 0
    """Everything random follows from it."""


def train_classifier(
    config: ClassifierConfig, *, report: Report = lambda step, share: None, report_every: int = 100
) -> tuple[DigitsJudge, dict[str, Any]]:
    """The judge, and a record of its making: accuracy and Frechet distance on the images backbones learn from."""
    own, other, compared = (load_images(part) for part in ("judge", "backbone", "reference"))
    body = {
        "family": FAMILY,
        "length": LENGTH,
        "num_levels": NUM_LEVELS,
        "hidden": config.hidden,
        "num_features": config.num_features,
        "num_labels": NUM_LABELS,
    }
    torch.manual_seed(derive_seed("digits-judge", config.seed))
    network = build_classifier(body)
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    data = derive_seed("digits-judge-data", config.seed)

    def accuracy() -> float:
        with torch.inference_mode():
            return float((network(other.pixels).argmax(-1) == other.labels).double().mean())

    for step in range(config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.lr * (1 - step / config.steps)
        rows = own.rows(data, torch.arange(config.batch) + step * config.batch)
        loss = F.cross_entropy(network(own.pixels[rows]), own.labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if (step + 1) % report_every == 0 or step + 1 == config.steps:
            report(step + 1, accuracy())
    with torch.inference_mode():
        reference = Moments.of(network.features(compared.pixels))
        floor = frechet(Moments.of(network.features(other.pixels)), reference)
    shares = torch.bincount(compared.labels, minlength=NUM_LABELS).double() / len(compared)
    notes = {
        "train": asdict(config),
        "images_sha256": own.sha256,
        "reference_sha256": compared.sha256,
        "accuracy_on_other_images": accuracy(),
        "frechet_of_other_images": floor,
        "torch": torch.__version__,
    }
    return DigitsJudge(body, network, reference, shares), notes
