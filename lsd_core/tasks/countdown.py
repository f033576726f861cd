"""The countdown task: share of transitions that break the rule, start values, diversity."""

import torch
from torch import Tensor

from lsd_core.backbones.countdown_chain import draw_sequences
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.metrics import countdown, entropy
from lsd_core.metrics.likelihood import own_likelihood
from lsd_core.metrics.scores import Scores
from lsd_core.tasks.specimen import Specimen, Strip
from lsd_core.tasks.task import Task


def along_the_chain(tokens: Tensor, backbone: AnyBackbone) -> Tensor:
    """The tokens (n, l) in the order of the chain, where the backbone's positions are permuted."""
    positions = backbone.config.get("positions")
    return tokens if positions is None else tokens[:, positions]


def evaluate_countdown(tokens: Tensor, backbone: AnyBackbone, seed: int) -> Scores:
    """Rule, start values, diversity, and on absorbing the likelihood under the frozen network; one call each."""
    chain = along_the_chain(tokens, backbone)
    errors = countdown.error(chain)
    metrics = {
        "error": float(errors.mean()),
        "error_published": float(countdown.error_published(chain).mean()),
        "start_tv": countdown.start_tv(chain, backbone.process.num_tokens),
        "unigram_entropy": entropy.unigram_entropy(tokens),
        "sequence_entropy": float(entropy.sequence_entropy(tokens).mean()),
        **own_likelihood(backbone, tokens, seed),
    }
    return Scores(primary=errors.numpy(), metrics=metrics)


def later_start(tokens: Tensor, num_tokens: int) -> dict[str, Tensor]:
    """`start`: the value that follows each sequence's first zero, where a countdown starts again, (n, 1).

    `num_tokens` stands for none. The first countdown's start is the marginal of position 0.
    """
    after_zero = torch.nn.functional.pad(tokens[:, :-1] == 0, (1, 0))
    first = after_zero.int().argmax(dim=1, keepdim=True)
    return {"start": torch.where(after_zero.any(1, keepdim=True), tokens.gather(1, first), num_tokens)}


def show_countdown(tokens: Tensor, backbone: AnyBackbone) -> list[Specimen]:
    """A strip a sequence, in the order of the chain; a token is wrong where it does not follow from the last one."""
    tokens = along_the_chain(tokens, backbone)
    broken = torch.nn.functional.pad(countdown.violations(tokens), (1, 0))
    top = backbone.process.num_tokens - 1
    return [
        Strip(tuple(row), top, tuple(wrong))
        for row, wrong in zip(tokens.tolist(), broken.tolist(), strict=True)
    ]


TASK = Task(
    name="countdown",
    primary="error",
    diversity="unigram_entropy",
    judge="countdown-v1",
    evaluate=evaluate_countdown,
    draw=draw_sequences,
    columns=("start_tv",),
    places=later_start,
    show=show_countdown,
)
