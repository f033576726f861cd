"""Distances between the teacher's and the student's rates of a token, and the rows they are taken over."""

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

DistanceName = Literal["l2", "kl"]
RowsName = Literal["both", "all"]


def l2(target: Float[Tensor, "r v"], log_student: Float[Tensor, "r v"]) -> Float[Tensor, " r"]:
    """Squared Euclidean distance of two rows of rates."""
    return (target - log_student.exp()).square().sum(-1)


def kl(target: Float[Tensor, "r v"], log_student: Float[Tensor, "r v"]) -> Float[Tensor, " r"]:
    """sum a log(a / b) - a + b, the divergence of Poisson rates (score entropy); for two distributions, their KL.

    A gain on normalised rows scales b alone, so the optimum of that gain is 1 whatever the rows.
    """
    cross = torch.where(target > 0, target * log_student, 0.0)
    return (torch.special.xlogy(target, target) - cross - target + log_student.exp()).sum(-1)


DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l2": l2, "kl": kl}


def powered(log_p: Float[Tensor, "r v"], gain: Float[Tensor, ""], gain_on: str) -> Float[Tensor, "r v"]:
    """Log of the student's rows under a gain: gain * p on the score, p^gain normalised on the log-score.

    A row of zeros, that of a revealed token, stays one.
    """
    if gain_on == "score":
        return gain.log() + log_p
    some = log_p.amax(-1) > -torch.inf
    if bool(some.all()):
        return (gain * log_p).log_softmax(-1)
    return log_p.index_copy(0, some.nonzero()[:, 0], (gain * log_p[some]).log_softmax(-1))


def compared_rows(
    teacher: Bool[Tensor, "b l"], student: Bool[Tensor, "b l"], rows: RowsName
) -> Bool[Tensor, "b l"]:
    """Where the distance is taken, given where each is masked: in both, or wherever one of them is."""
    return teacher & student if rows == "both" else teacher | student
