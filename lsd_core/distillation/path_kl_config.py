"""Settings of the path-KL family."""

from dataclasses import dataclass

from lsd_core.errors import InputError
from lsd_core.samplers.adaptive import ByPrediction, WithinBudget
from lsd_core.samplers.catalog import chooses_by_draw, factorised
from lsd_core.samplers.protocol import Sampler, check_grid


@dataclass(frozen=True, kw_only=True)
class PathKLScheduleConfig:
    """Settings of the schedule."""

    price_sequences: int = 8192
    """Network budget of the edge costs: paths = this / length, at least 8. As much again to draw them first, for a
    sampler with an order of its own."""
    pooled: bool = False
    """Take the mean over all masked tokens as the cost of an edge: for paths whose order is independent of them."""

    def __post_init__(self) -> None:
        if self.price_sequences < 1:
            raise InputError("price_sequences", "be >= 1", self.price_sequences)

    def check_sampler(self, sampler: Sampler) -> None:
        """Raise InputError unless a step of it draws every token from one network call, so that edges have costs,
        at positions chosen before."""
        if isinstance(sampler, ByPrediction):
            if self.pooled:
                raise InputError(
                    "pooled", f"be false for {sampler.name}, which chooses its positions", self.pooled
                )
            if sampler.varies and not isinstance(sampler, WithinBudget):
                rule = f"not be {sampler.name}, whose steps have neither quotas nor thresholds to learn"
                raise InputError("sampler", rule, sampler.name, "choose entropy or entropy_bound")
            return
        if chooses_by_draw(sampler):
            return
        check_grid(factorised(sampler), "counts")
        if self.pooled and not sampler.order.exchangeable:
            rule = f"be false for {sampler.name}, whose next positions are not like the others"
            raise InputError("pooled", rule, self.pooled)


@dataclass(frozen=True, kw_only=True)
class PathKLConfig(PathKLScheduleConfig):
    """Settings of the schedule and of the choice of gains."""

    gain_paths: int = 128
    """The sampler's own paths on which gains are compared."""
    candidates: tuple[float, ...] = (0.9, 1.0, 1.2, 1.5, 2.0, 2.7, 4.0)
    """Gains to choose from."""
    sharpness: float = 1.0
    """Exponent put on the chosen gains: 1 leaves them, 2 squares them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gain_paths < 2:
            raise InputError("gain_paths", "be >= 2, to know a standard error", self.gain_paths)
        if 1.0 not in self.candidates or not all(0 < gain < float("inf") for gain in self.candidates):
            raise InputError("candidates", "be positive numbers, 1 among them", list(self.candidates))
        if not 0 < self.sharpness < float("inf"):
            remedy = "for gains of 1 use the method path_kl_schedule"
            raise InputError("sharpness", "be positive and finite", self.sharpness, remedy)


@dataclass(frozen=True, kw_only=True)
class PathKLSharpConfig(PathKLConfig):
    """The same, with the gains squared."""

    sharpness: float = 2.0
