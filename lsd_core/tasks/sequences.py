"""The sequences task: likelihood under the frozen network itself and diversity, for data without a judge.

The likelihood of few-step samples under the network that drew them says how much worse they are than its
own exact samples, and nothing about the data. It can be had cheaply by drawing likely things again and again,
so it is compared at equal entropy, and the share of different sequences stands beside it.
"""

import torch
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.backbones.vocabulary import written
from lsd_core.metrics import entropy
from lsd_core.metrics.likelihood import any_order_nll
from lsd_core.metrics.scores import Scores
from lsd_core.numerics.canonical import derive_seed
from lsd_core.tasks.specimen import Passage, Specimen
from lsd_core.tasks.task import Task

LOOKS = 8  # random subsets of each sequence that are masked


def evaluate_sequences(tokens: Tensor, backbone: AnyBackbone, seed: int) -> Scores:
    """Nats a token under the frozen network, in random order, and diversity; 8 calls a sequence."""
    network = absorbing(backbone, "the task `sequences`")
    looks = [any_order_nll(network, tokens, derive_seed("look", seed, look)) for look in range(LOOKS)]
    nll = torch.stack(looks).mean(0)
    per_token = nll / tokens.shape[1]
    metrics = {
        "nll_per_token": float(per_token.mean()),
        "unigram_entropy": entropy.unigram_entropy(tokens),
        "sequence_entropy": float(entropy.sequence_entropy(tokens).mean()),
        "distinct_sequences": len(tokens.unique(dim=0)) / len(tokens),
        "nll": float(nll.mean()),
    }
    return Scores(primary=per_token.numpy(), metrics=metrics)


def check_sequences(backbone: AnyBackbone) -> None:
    """Raise InputError unless the network's likelihood can be had, which takes a mask."""
    absorbing(backbone, "the task `sequences`")


def show_sequences(tokens: Tensor, backbone: AnyBackbone) -> list[Specimen]:
    """What is written, or the tokens' numbers."""
    return [Passage(text) for text in written(backbone.config, tokens)]


TASK = Task(
    name="sequences",
    version=2,  # 1: sizes of the masked subsets grew with the row
    primary="nll_per_token",
    diversity="unigram_entropy",
    judge="own-network-v1",
    evaluate=evaluate_sequences,
    check=check_sequences,
    show=show_sequences,
)
