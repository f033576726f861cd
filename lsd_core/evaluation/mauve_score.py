"""MAUVE (Pillutla et al. 2021): the area under the divergence curve of two texts' quantised features.

The library is `mauve-text` (extra [metrics]); the features are a causal language model's last hidden state at the
last token, as published. Features of another model give another MAUVE: record which one.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.errors import InputError


def mauve(
    one: Float[np.ndarray, "n d"],
    other: Float[np.ndarray, "m d"],
    *,
    buckets: int | None = None,
    seed: int = 25,
) -> float:
    """MAUVE of two sets of features, in (0, 1]; 1 where they cannot be told apart.

    `buckets` is the number of clusters; the library's choice, a tenth of the samples, if left out.
    """
    if min(len(one), len(other)) < 2:
        raise InputError("samples", "be at least 2 a side", (len(one), len(other)))
    try:
        from mauve import compute_mauve
    except ImportError as error:
        remedy = "pip install 'lsd-samplers[metrics]' -c constraints.txt"
        raise InputError("mauve-text", "be installed", str(error), remedy) from None
    found = compute_mauve(
        p_features=one, q_features=other, num_buckets=buckets or "auto", seed=seed, verbose=False
    )
    return float(found.mauve)


@torch.inference_mode()
def last_states(model: Any, tokens: Int[Tensor, "n l"], batch: int = 4) -> Float[np.ndarray, "n d"]:
    """Last hidden state of a causal language model at the last token of each sequence."""
    states = [
        model(input_ids=rows, output_hidden_states=True).hidden_states[-1][:, -1]
        for rows in tokens.split(batch)
    ]
    return torch.cat(states).double().numpy()
