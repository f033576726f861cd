"""Distinct-n: the share of n-grams that differ, for n from 1 to 4."""

from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.metrics.entropy import distinct
from lsd_core.metrics.metric import Metric, NoSettings

GRAMS = (1, 2, 3, 4)


def compute(tokens: Tensor, backbone: AnyBackbone, config: NoSettings) -> dict[str, float]:
    """The share for each size that fits in a sequence."""
    return {f"distinct_{n}": distinct(tokens, n) for n in GRAMS if n <= tokens.shape[1]}


METRIC = Metric(name="distinct", compute=compute)
