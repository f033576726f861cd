"""Self-BLEU (Zhu et al. 2018, "Texygen"): how much samples repeat one another; 1 where all are the same."""

import math
from collections import Counter, defaultdict

from jaxtyping import Int
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.metrics.metric import Metric, NoSettings

EPSILON = 0.1  # what stands for no match at all (method 1 of Chen and Cherry 2014), as in the published code


def self_bleu(tokens: Int[Tensor, "n l"], size: int = 4) -> float:
    """Mean BLEU-`size` of each sequence against all the others, in [0, 1]; lower is more diverse.

    Sequences are equally long, so there is no brevity penalty. An n-gram counts as often as the other sequence
    that has most of it: the two largest counts of each n-gram say so for every sequence, in time n * l.
    """
    rows = [tuple(row) for row in tokens.tolist()]
    if len(rows) < 2:
        raise InputError("samples", "be at least 2, to be compared with one another", len(rows))
    if not 1 <= size <= tokens.shape[1]:
        raise InputError("size", f"lie in 1..{tokens.shape[1]}, the length", size)
    logs = [0.0] * len(rows)
    for n in range(1, size + 1):
        counts = [Counter(row[i : i + n] for i in range(len(row) - n + 1)) for row in rows]
        largest: dict[tuple[int, ...], list[int]] = defaultdict(lambda: [0, 0])
        for count in counts:
            for gram, number in count.items():
                two = largest[gram]
                if number > two[0]:
                    two[0], two[1] = number, two[0]
                elif number > two[1]:
                    two[1] = number
        total = len(rows[0]) - n + 1
        for index, count in enumerate(counts):
            matched = 0
            for gram, number in count.items():
                first, second = largest[gram]
                matched += min(number, second if number == first else first)
            if n == 1 and not matched:
                logs[index] = -math.inf  # no token in common: 0, whatever is smoothed (as in nltk)
            logs[index] += math.log((matched or EPSILON) / total) / size
    return sum(map(math.exp, logs)) / len(rows)


def compute(tokens: Tensor, backbone: AnyBackbone, config: NoSettings) -> dict[str, float]:
    """Self-BLEU of grams of up to four tokens."""
    return {"self_bleu_4": self_bleu(tokens, min(4, tokens.shape[1]))}


METRIC = Metric(name="self_bleu", compute=compute)
