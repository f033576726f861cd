"""Generative perplexity: samples judged by a causal language model that drew none of them."""

from dataclasses import dataclass

from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.metrics.judges.causal_judge import causal_nll, judge_folder, load_judge
from lsd_core.metrics.metric import Metric


@dataclass(frozen=True, kw_only=True)
class Config:
    """The model that judges."""

    model: str
    """Its id on the hub; looked for in the weights folder and the hub's cache."""


def compute(tokens: Tensor, backbone: AnyBackbone, config: Config) -> dict[str, float]:
    """exp of the mean nats a token; `_published` is the mean of the sequences' own perplexities (SEDD's code)."""
    nll = causal_nll(load_judge(judge_folder(config.model)), tokens)
    return {
        "generative_nll": float(nll.mean()),
        "generative_perplexity": float(nll.mean().exp()),
        "generative_perplexity_published": float(nll.exp().mean()),
    }


def check(backbone: AnyBackbone, samples: int, config: Config) -> None:
    """Raise InputError unless the model is there."""
    judge_folder(config.model)


METRIC = Metric(name="generative_perplexity", compute=compute, config_class=Config, check=check)
