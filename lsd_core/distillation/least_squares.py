"""Diagnostics of an epoch of LSD: the gains that least squares would choose, and the row sums of the network."""

import torch
from jaxtyping import Float
from torch import Tensor


class LeastSquares:
    """Running sums over an epoch: the gains of least squares, and how far rows stray from distributions."""

    def __init__(self, num_steps: int) -> None:
        self.across = torch.zeros(num_steps, dtype=torch.float64)
        self.own = torch.zeros(num_steps, dtype=torch.float64)
        self.largest, self.total, self.count = 0.0, 0.0, 0

    def add(
        self, k: int, target: Float[Tensor, "r v"], student: Float[Tensor, "r v"], sums: Float[Tensor, " s"]
    ) -> None:
        """Count rows of step k: both sides' rates before any gain, and the logs of the student's row sums."""
        self.across[k] += (target * student).sum()
        self.own[k] += student.square().sum()
        if len(sums):
            self.largest = max(self.largest, float(sums.detach().abs().max()))
            self.total += float(sums.detach().exp().sum())
            self.count += len(sums)

    def gains(self) -> list[float | None]:
        """argmin over phi of sum |p* - phi p|^2 at each step; None where nothing was compared."""
        pairs = zip(self.across.tolist(), self.own.tolist(), strict=True)
        return [across / own if own > 0 else None for across, own in pairs]

    def row_sums(self) -> dict[str, float | None]:
        """Mean of the student's row sums before normalising, and the largest |log| of one."""
        return {"mean": self.total / self.count if self.count else None, "max_abs_log": self.largest}
