"""Features of molecules by ChemNet, for the Frechet ChemNet distance (Preuer et al. 2018), from the package fcd."""

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

WIDTH = 512  # features of a molecule


def features(smiles: Sequence[str], batch: int = 128) -> Float[Tensor, "n 512"]:
    """Activations of ChemNet's last layer but one; about 3 ms a molecule on one core."""
    import fcd

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy's, about a function that fcd calls
        found = fcd.get_predictions(_network(), list(smiles), batch_size=batch, n_jobs=0, device="cpu")
    return torch.from_numpy(found)


@cache
def _network() -> Any:
    """ChemNet, its weights from the wheel of fcd."""
    import fcd

    return fcd.load_ref_model()
