"""FID and the Inception score of samples that are pictures, as a grid asks for them."""

from dataclasses import dataclass

from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.metrics import inception
from lsd_core.metrics.inception_network import NUM_FEATURES
from lsd_core.metrics.metric import Metric
from lsd_core.metrics.picture_reference import find_reference
from lsd_core.metrics.pictures import Canvas


@dataclass(frozen=True, kw_only=True)
class InceptionConfig:
    """The network whose features are compared."""

    weights: str
    """File of the published Inception network."""


@dataclass(frozen=True, kw_only=True)
class FidConfig(InceptionConfig):
    """The network, and the pictures that samples are compared with."""

    reference: str
    """Saved statistics (.npz), or a folder of images."""


def compute_fid(tokens: Tensor, backbone: AnyBackbone, config: FidConfig) -> dict[str, float]:
    """Frechet distance of the network's features from the reference's."""
    path = inception.find_weights(config.weights)
    moments = inception.reference_moments(find_reference(config.reference, NUM_FEATURES), path)
    return {"fid": inception.fid(inception.seen(tokens, Canvas.of(backbone), path)[0], moments)}


def compute_inception_score(
    tokens: Tensor, backbone: AnyBackbone, config: InceptionConfig
) -> dict[str, float]:
    """Of all samples together; `_published` is the mean over ten parts."""
    logits = inception.seen(tokens, Canvas.of(backbone), inception.find_weights(config.weights))[1]
    splits = min(inception.PUBLISHED_SPLITS, len(tokens))
    return {
        "inception_score": inception.inception_score(logits),
        "inception_score_published": inception.inception_score(logits, splits),
    }


def check_inception(backbone: AnyBackbone, samples: int, config: InceptionConfig) -> None:
    """Raise InputError unless the backbone draws pictures and the network is there."""
    Canvas.of(backbone)
    inception.load_inception(inception.find_weights(config.weights))


def check_fid(backbone: AnyBackbone, samples: int, config: FidConfig) -> None:
    """And the reference."""
    check_inception(backbone, samples, config)
    find_reference(config.reference, NUM_FEATURES)


FID = Metric(name="fid", compute=compute_fid, config_class=FidConfig, check=check_fid)
INCEPTION_SCORE = Metric(
    name="inception_score",
    compute=compute_inception_score,
    config_class=InceptionConfig,
    check=check_inception,
)
