"""A task: neighbouring tokens should differ."""

from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.metrics import entropy
from lsd_core.metrics.scores import Scores
from lsd_core.tasks.task import Task


def evaluate(tokens: Tensor, backbone: AnyBackbone, seed: int) -> Scores:
    """Share of neighbours that are equal, one value a sample, and the entropy of all tokens."""
    repeats = (tokens[:, 1:] == tokens[:, :-1]).double().mean(1)
    metrics = {"repeats": float(repeats.mean()), "unigram_entropy": entropy.unigram_entropy(tokens)}
    return Scores(primary=repeats.numpy(), metrics=metrics)


TASK = Task(
    name="no_repeats",
    primary="repeats",
    diversity="unigram_entropy",
    judge="no-repeats-v1",
    evaluate=evaluate,
)
