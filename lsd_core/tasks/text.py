"""Text: characters of English prose, judged by a model that learned from other prose than the backbones did."""

import math

import torch
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.metrics import entropy
from lsd_core.metrics.judges.text_judge import shipped_judge
from lsd_core.metrics.likelihood import own_likelihood
from lsd_core.metrics.scores import Scores
from lsd_core.tasks.corpus import draw_windows, load_corpus
from lsd_core.tasks.specimen import Passage, Specimen
from lsd_core.tasks.task import Task

LENGTH = 128
GRAM = 4  # characters


def check_text(backbone: AnyBackbone) -> None:
    """Raise InputError unless the judge is there and reads what the backbone writes."""
    shipped_judge().check_vocabulary(Vocabulary.of(backbone.config))


def evaluate_text(tokens: Tensor, backbone: AnyBackbone, seed: int) -> Scores:
    """Nats a character under the judge, diversity, and the likelihood under the frozen network itself.

    The judge's perplexity is the exponential of the primary metric; it rewards repetition, so two entropies
    and the share of different 4-grams stand beside it.
    """
    nll = shipped_judge().nll(tokens)
    metrics = {
        "judge_nll": float(nll.mean()),
        "judge_perplexity": math.exp(float(nll.mean())),
        "unigram_entropy": entropy.unigram_entropy(tokens),
        "sequence_entropy": float(entropy.sequence_entropy(tokens).mean()),
        "distinct_4": entropy.distinct(tokens, GRAM),
        **own_likelihood(backbone, tokens, seed),
    }
    return Scores(primary=nll.numpy(), metrics=metrics)


def gaps(backbone: AnyBackbone, number: int, seed: int) -> Tensor:
    """Lines that no backbone learned from, the middle half of each free; equal ones once.

    The judge reads whole lines: -log p of a filled line is that of what fills the gap, given what stands before and
    after it, and a constant of the line, so differences between samplers are of what was drawn.
    """
    check_text(backbone)
    length, mask = backbone.length, absorbing(backbone, "infilling").process.mask
    lines = draw_windows(load_corpus().tokens("held_out"), seed, torch.arange(number), length)
    lines[:, length // 4 : length - length // 4] = mask
    return lines.unique(dim=0)


def show_text(tokens: Tensor, backbone: AnyBackbone) -> list[Specimen]:
    """What is written."""
    vocabulary = Vocabulary.of(backbone.config)
    assert vocabulary is not None
    return [Passage(vocabulary.decode(row)) for row in tokens.tolist()]


TASK = Task(
    name="text",
    primary="judge_nll",
    diversity="unigram_entropy",
    judge="text-judge-v1",
    evaluate=evaluate_text,
    conditions=gaps,
    check=check_text,
    show=show_text,
)
