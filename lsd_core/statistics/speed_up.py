"""Speed-up at equal quality: the number of calls at which a baseline reaches a given error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lsd_core.errors import InputError


@dataclass(frozen=True)
class Reach:
    """Where a baseline's curve falls to an error."""

    nfe: float
    side: str
    """`at` this NFE; `below`: already at the smallest measured; `beyond`: not even at the largest."""

    def __str__(self) -> str:
        return {"at": f"{self.nfe:.3g}", "below": f"{self.nfe:g} or fewer", "beyond": f"beyond {self.nfe:g}"}[
            self.side
        ]


def reach(error: float, nfe: Sequence[int], errors: Sequence[float]) -> Reach:
    """The least NFE at which the baseline, straight in log-log between measured points, has this error.

    `nfe` ascends. Nothing is extrapolated. A measured error of 0 has no logarithm: the interval that ends in
    it counts as crossed only at its end.
    """
    if not nfe or len(nfe) != len(errors) or any(a >= b for a, b in pairwise(nfe)):
        raise InputError("nfe", "ascend and have one error each", list(zip(nfe, errors, strict=False)))
    if errors[0] <= error:
        return Reach(float(nfe[0]), "below")
    for (n, above), (m, under) in pairwise(zip(nfe, errors, strict=True)):
        if under <= error:
            if under <= 0:
                return Reach(float(m), "at")
            share = math.log(above / error) / math.log(above / under)
            return Reach(n * (m / n) ** share, "at")
    return Reach(float(nfe[-1]), "beyond")
