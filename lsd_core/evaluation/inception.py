"""FID and the Inception score: images judged by what the published Inception network makes of them.

FID (Heusel et al. 2017) is the Frechet distance of its features; IS (Salimans et al. 2016) is
exp E KL(p(y|x) || p(y)). torch-fidelity (extra [metrics]) reads the network from a weights file. Features of
another network give another metric, and must be called by another name.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.evaluation.frechet import Moments, frechet

FEATURES, LOGITS = "2048", "logits_unbiased"


def fid(features: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"]) -> float:
    """Frechet distance of two sets of Inception features; noise alone makes it large unless both are many."""
    ours, theirs = (Moments.of(torch.from_numpy(rows)) for rows in (features, reference))
    return frechet(ours, theirs)


def inception_score(logits: Float[np.ndarray, "n c"], splits: int = 10) -> tuple[float, float]:
    """Mean and standard deviation over `splits` equal parts, as published; one part gives deviation 0."""
    if not 1 <= splits <= len(logits):
        raise InputError("splits", f"lie in 1..{len(logits)}, the samples", splits)
    scores = []
    for part in np.array_split(logits.astype(np.float64), splits):
        log_p = part - np.logaddexp.reduce(part, axis=1, keepdims=True)
        log_mean = np.logaddexp.reduce(log_p, axis=0) - np.log(len(part))
        scores.append(float(np.exp((np.exp(log_p) * (log_p - log_mean)).sum(axis=1).mean())))
    return float(np.mean(scores)), float(np.std(scores))


@torch.inference_mode()
def inception(images: Tensor, weights: Path, batch: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 2048) and logits (n, 1008) of images (n, 3, h, w) uint8, by the published network."""
    network = _network(weights)
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype != torch.uint8:
        raise InputError("images", "be uint8 of shape (n, 3, h, w)", (tuple(images.shape), str(images.dtype)))
    found = [network(part) for part in images.split(batch)]
    features, logits = (torch.cat(parts).double().numpy() for parts in zip(*found, strict=True))
    return features, logits


def _network(weights: Path) -> Any:
    if not weights.is_file():
        remedy = "it is torch-fidelity's weights-inception-2015-12-05-6726825d.pth"
        raise InputError("weights", "be the file of the Inception network's weights", str(weights), remedy)
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        remedy = "pip install 'lsd-samplers[metrics]' -c constraints.txt"
        raise InputError("torch-fidelity", "be installed", str(error), remedy) from None
    return FeatureExtractorInceptionV3(
        "inception", [FEATURES, LOGITS], feature_extractor_weights_path=str(weights)
    )
