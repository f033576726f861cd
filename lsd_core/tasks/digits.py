"""Digits: small images, judged by a classifier of images that the backbones never saw."""

import torch
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.metrics import entropy
from lsd_core.metrics.frechet import pseudo_values
from lsd_core.metrics.judges.digits_judge import shipped_judge
from lsd_core.metrics.scores import Scores
from lsd_core.tasks.digit_images import LENGTH, NUM_LEVELS, SIDE
from lsd_core.tasks.specimen import Picture, Specimen
from lsd_core.tasks.task import Task


def check_digits(backbone: AnyBackbone) -> None:
    """Raise InputError unless the judge is there and the backbone draws 8 x 8 images of 17 levels."""
    shipped_judge()
    shape = (backbone.length, backbone.process.num_tokens)
    if shape != (LENGTH, NUM_LEVELS):
        rule = f"draw {LENGTH} pixels of {NUM_LEVELS} levels for the task `digits`"
        raise InputError("backbone", rule, f"{shape[0]} of {shape[1]}")


def evaluate_digits(tokens: Tensor, backbone: AnyBackbone, seed: int) -> Scores:
    """Frechet distance of the classifier's features from those of real images, and the labels' histogram.

    The distance of n samples is too large by about a constant over n, so only equal numbers compare.
    """
    judge = shipped_judge()
    values = pseudo_values(judge.features(tokens), judge.reference)
    probs = judge.probs(tokens)
    shares = torch.bincount(probs.argmax(-1), minlength=len(judge.labels)).double() / len(tokens)
    metrics = {
        "frechet": float(values.mean()),
        "label_entropy": float(-torch.special.xlogy(shares, shares).sum()),
        "label_tv": float((shares - judge.labels).abs().sum() / 2),
        "confidence": float(probs.amax(-1).mean()),
        "unigram_entropy": entropy.unigram_entropy(tokens),
    }
    return Scores(primary=values.numpy(), metrics=metrics)


def show_digits(tokens: Tensor, backbone: AnyBackbone) -> list[Specimen]:
    """A grey picture an image, ink dark on white."""
    grey = 255 - (255 * tokens.double() / (NUM_LEVELS - 1)).round().long()
    return [Picture(SIDE, SIDE, 1, bytes(row)) for row in grey.tolist()]


TASK = Task(
    name="digits",
    primary="frechet",
    diversity="label_entropy",
    judge="digits-judge-v1",
    evaluate=evaluate_digits,
    check=check_digits,
    show=show_digits,
)
