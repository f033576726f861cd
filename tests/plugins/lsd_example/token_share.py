"""A metric with a setting: the share of one token, `token_share:TOKEN`."""

from dataclasses import dataclass

from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.metrics.metric import Metric


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of the metric, in the order in which they are written after colons."""

    token: int
    """The token's number."""


def compute(tokens: Tensor, backbone: AnyBackbone, config: Config) -> dict[str, float]:
    """Its share among all tokens of all samples."""
    return {f"token_share_{config.token}": float((tokens == config.token).double().mean())}


def check(backbone: AnyBackbone, samples: int, config: Config) -> None:
    """Refuse, before any work, a token that there is not."""
    if not 0 <= config.token < backbone.process.num_tokens:
        raise InputError("token of token_share", f"lie in 0..{backbone.process.num_tokens - 1}", config.token)


METRIC = Metric(name="token_share", compute=compute, config_class=Config, check=check)
