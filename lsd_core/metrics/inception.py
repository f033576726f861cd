"""FID and the Inception score, on features and logits of the published Inception network.

FID (Heusel et al. 2017) is the Frechet distance of its features; IS (Salimans et al. 2016) is
exp E KL(p(y|x) || p(y)). Features of another network give another metric, and must be called by another name.
"""

import math
from functools import cache, lru_cache
from pathlib import Path

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from lsd_core.backbones.checkpoint import read_tensors
from lsd_core.backbones.device import worker_device
from lsd_core.errors import InputError
from lsd_core.metrics.frechet import Moments
from lsd_core.metrics.inception_network import NUM_FEATURES, Inception
from lsd_core.metrics.picture_reference import moments_of
from lsd_core.metrics.pictures import Canvas, pictures
from lsd_core.storage.home import weights_dir
from lsd_core.storage.tensorfile import check_tensors

PUBLISHED = "weights-inception-2015-12-05-6726825d.pth"
PUBLISHED_SPLITS = 10
BATCH = 32  # images a network call


def fid(features: Float[Tensor, "n d"], reference: Moments) -> float:
    """|mu - nu|^2 + tr(S + R - 2 (S R)^1/2), covariances over n - 1, as published; exact where S is singular.

    S = F^T F for the centred features F (over root n - 1), so the root's trace is that of (F R F^T)^1/2. Noise
    alone makes the distance large where n is small: only equal numbers compare, and claims take 50000.
    """
    ours = Moments.of(features)
    factor = (features.double() - ours.mean) / math.sqrt(len(features) - 1)
    if len(factor) > factor.shape[1]:
        factor = torch.linalg.qr(factor, mode="r").R
    root = torch.linalg.eigvalsh(factor @ reference.covariance @ factor.T).clamp(min=0).sqrt().sum()
    gap = (ours.mean - reference.mean).square().sum()
    return float(gap + ours.covariance.trace() + reference.covariance.trace() - 2 * root)


def inception_score(logits: Float[Tensor, "n c"], splits: int = 1) -> float:
    """exp E KL(p(y|x) || p(y)), in [1, c]: the mean over `splits` parts one after another.

    Published scores take 10 parts of 50000 images; p(y) is each part's own, so more parts score lower.
    """
    if not 1 <= splits <= len(logits):
        raise InputError("splits", f"lie in 1..{len(logits)}, the samples", splits)
    scores = []
    for log_p in logits.double().log_softmax(-1).tensor_split(splits):
        log_mean = log_p.logsumexp(0) - math.log(len(log_p))
        scores.append((log_p.exp() * (log_p - log_mean)).sum(1).mean().exp())
    return float(torch.stack(scores).mean())


@lru_cache(maxsize=1)  # by identity: FID and IS of the same samples look at them once
def seen(tokens: Int[Tensor, "n l"], canvas: Canvas, weights: Path) -> tuple[Tensor, Tensor]:
    """Features (n, 2048) and logits (n, 1008) of the pictures that tokens are, float64."""
    return look(pictures(tokens, canvas), weights)


@torch.inference_mode()
def look(images: UInt8[Tensor, "n 3 h w"], weights: Path) -> tuple[Tensor, Tensor]:
    """Features (n, 2048) and logits (n, 1008) of colour images, float64."""
    device = worker_device()
    network = load_inception(weights).to(device)
    features = torch.cat([network(part.to(device).float()) for part in images.split(BATCH)])
    return features.double().cpu(), network.classes(features).double().cpu()


@cache
def reference_moments(reference: Path, weights: Path) -> Moments:
    """What samples are held against; of images, the network looks at all of them the first time."""
    return moments_of(reference, weights, NUM_FEATURES, lambda images: look(images, weights)[0])


def find_weights(name: str) -> Path:
    """The weight file: a path, or a name in the weights folder; InputError says what to put where."""
    path = weights_dir() / name
    if not path.is_file():
        remedy = (
            f"download {PUBLISHED} from the releases of the repository toshas/torch-fidelity and put it there"
        )
        raise InputError("weights of the Inception network", "be a file", f"nothing at {path}", remedy)
    return path


@cache
def load_inception(weights: Path) -> Inception:
    """The frozen network; tensors alone are read, and a wrong layout names the first that is wrong."""
    network = Inception()
    tensors, expected = _learned(read_tensors(weights)), _learned(network.state_dict())
    check_tensors("the Inception network of FID", tensors, expected, source=str(weights))
    network.load_state_dict(tensors, strict=False)
    return network.eval().requires_grad_(False)


def _learned(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Without training's own counts of batches, which some files keep."""
    return {name: tensor for name, tensor in tensors.items() if not name.endswith("num_batches_tracked")}
