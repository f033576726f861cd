"""Checks of a network's output where it is read: NaN or infinity ends the run with one line that names the backbone.

A token may be impossible (log-weight -inf), but every row needs a possible one, and none that is NaN or +inf: such a
row is no distribution, and a draw from it leaves MASK in a finished sample.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from lsd_core.errors import InputError

REMEDY = "its weights hold NaN, half precision overflows (?body_dtype=float32), or nothing can follow what is given"


@runtime_checkable
class Headed(Protocol):
    """The part of an absorbing backbone that is read here."""

    def head(self, rows: Tensor) -> Tensor: ...


def head_rows(backbone: Headed, rows: Tensor) -> Tensor:
    """Log-weights (r, v) of the head at rows of features (r, d), every row a distribution."""
    return finite(backbone, backbone.head(rows))


def finite(backbone: Any, values: Tensor) -> Tensor:
    """Log-weights or scores (..., v), if the maximum over v is a number everywhere. Cost: one pass over them."""
    if values.is_meta:  # sizes alone, as a plan has them
        return values
    top = values.detach().amax(-1).flatten()
    bad = ~torch.isfinite(top)
    if bool(bad.any()):
        first = int(bad.nonzero()[0])
        name = getattr(backbone, "name", type(backbone).__name__)
        shown = f"{float(top[first])} in {int(bad.sum())} of {len(top)} rows, the first of them row {first}"
        raise InputError(
            f"output of backbone {name}", "have a finite largest value in every row", shown, REMEDY
        )
    return values
