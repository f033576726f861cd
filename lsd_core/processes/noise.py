"""Noise schedules: how much corruption has been integrated by time t (1 = noise, 0 = data)."""

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from lsd_core.errors import InputError


@runtime_checkable
class Noise(Protocol):
    """Integrated rate sigma_bar(t), its derivative rate(t), and alpha(t) = exp(-sigma_bar(t))."""

    def sigma_bar(self, t: Tensor) -> Tensor: ...
    def rate(self, t: Tensor) -> Tensor: ...
    def alpha(self, t: Tensor) -> Tensor: ...
    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class LogLinear:
    """alpha(t) = 1 - (1 - eps) t, so sigma_bar(t) = -log1p(-(1 - eps) t) (SEDD, App. C.1)."""

    eps: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.eps < 1:
            raise InputError("noise.eps", "lie in (0, 1)", self.eps)

    def sigma_bar(self, t: Tensor) -> Tensor:
        return -torch.log1p(-(1 - self.eps) * t)

    def rate(self, t: Tensor) -> Tensor:
        return (1 - self.eps) / (1 - (1 - self.eps) * t)

    def alpha(self, t: Tensor) -> Tensor:
        return 1 - (1 - self.eps) * t

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "log_linear", "eps": self.eps}


@dataclass(frozen=True)
class Geometric:
    """sigma_bar(t) = smin^(1-t) smax^t; at t = 0 a residue smin is left (SEDD, App. C.1)."""

    smin: float = 1e-4
    smax: float = 20.0

    def __post_init__(self) -> None:
        if not 0 < self.smin < self.smax < math.inf:
            raise InputError("noise.smin", f"lie in (0, smax={self.smax})", self.smin)

    def sigma_bar(self, t: Tensor) -> Tensor:
        return self.smin ** (1 - t) * self.smax**t

    def rate(self, t: Tensor) -> Tensor:
        log_ratio = torch.log(torch.tensor(self.smax / self.smin, dtype=torch.float64)).to(t)
        return self.sigma_bar(t) * log_ratio

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(-self.sigma_bar(t))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "geometric", "smin": self.smin, "smax": self.smax}


@dataclass(frozen=True)
class Exponential:
    """rate(t) = scale ln(base) base^t, so sigma_bar(t) = scale (base^t - 1): the beta of tauLDR's images.

    Campbell et al. 2022 use scale 3 and base 100 on CIFAR-10.
    """

    scale: float = 3.0
    base: float = 100.0

    def __post_init__(self) -> None:
        if not 0 < self.scale < math.inf:
            raise InputError("noise.scale", "be positive and finite", self.scale)
        if not 1 < self.base < math.inf:
            raise InputError("noise.base", "be > 1 and finite", self.base)

    def sigma_bar(self, t: Tensor) -> Tensor:
        return self.scale * torch.expm1(math.log(self.base) * t)

    def rate(self, t: Tensor) -> Tensor:
        return self.scale * math.log(self.base) * self.base**t

    def alpha(self, t: Tensor) -> Tensor:
        return torch.exp(-self.sigma_bar(t))

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "exponential", "scale": self.scale, "base": self.base}


def noise_from_dict(record: dict[str, Any]) -> Noise:
    """The schedule that `to_dict` described."""
    kinds: dict[Any, Any] = {"log_linear": LogLinear, "geometric": Geometric, "exponential": Exponential}
    kind = record.get("kind")
    if kind not in kinds:
        raise InputError("noise.kind", f"be one of {sorted(kinds)}", kind)
    return kinds[kind](**{name: value for name, value in record.items() if name != "kind"})
