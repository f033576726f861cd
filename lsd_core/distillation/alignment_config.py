"""Settings that LSD and LSD+ share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from lsd_core.distillation.coupling import CouplingName
from lsd_core.distillation.distance import DISTANCES, DistanceName, RowsName
from lsd_core.errors import InputError
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.samplers.protocol import Sampler, in_counts_only, learnable
from lsd_core.samplers.table import GainOn


@dataclass(frozen=True, kw_only=True)
class AlignmentConfig:
    """Settings of the alignment of a student with its teacher."""

    method: ClassVar[str]
    """Name of the method, for errors."""
    epochs: int = 20
    """Passes, each over `paths_per_epoch` paths with states of the student's own."""
    paths_per_epoch: int = 64
    """Teacher paths an epoch; the stored ones are walked round and round."""
    paths_per_update: int = 16
    """Paths an Adam step averages over."""
    learning_rate: float = 1e-2
    """Of Adam, for the gains."""
    distance: DistanceName = "l2"
    """`l2`, or `kl` (of Poisson rates)."""
    gain_on: GainOn = "score"
    """What phi multiplies. On the score, and on a network that ignores time, phi and kappa do the same."""
    coupling: CouplingName = "common"
    """`common`: the student uses the teacher's reveal times and token noise. `independent`: its own."""
    rows: RowsName = "both"
    """Compare where both are masked; `all` counts a revealed row as zeros, which shrinks phi."""
    zeta: float = 0.05
    """Share of the student's starting tokens that are replaced, in learning only."""
    gain_bounds: tuple[float, float] = (0.1, 10.0)
    """phi stays between them."""

    def __post_init__(self) -> None:
        """Raise InputError for the first setting that breaks its rule."""
        for field in ("epochs", "paths_per_epoch", "paths_per_update"):
            check_count(f"{self.method}.{field}", getattr(self, field))
        check_positive(f"{self.method}.learning_rate", self.learning_rate)
        choices: dict[str, Sequence[str]] = {
            "distance": list(DISTANCES),
            "gain_on": ["score", "log_score"],
            "coupling": ["common", "independent"],
            "rows": ["both", "all"],
        }
        for field, known in choices.items():
            if getattr(self, field) not in known:
                raise InputError(f"{self.method}.{field}", f"be one of {known}", getattr(self, field))
        if self.distance == "kl" and self.rows == "all":
            raise InputError(
                f"{self.method}.rows", "be 'both' with distance 'kl'", "all", "rows of zeros have no KL"
            )
        if not 0 <= self.zeta < 1:
            raise InputError(f"{self.method}.zeta", "lie in [0, 1)", self.zeta)
        bounds = self.gain_bounds
        if len(bounds) != 2 or not 0 < bounds[0] <= 1 <= bounds[1] < float("inf"):
            raise InputError(f"{self.method}.gain_bounds", "be two positive numbers around 1", list(bounds))

    def check_sampler(self, sampler: Sampler) -> None:
        """Raise InputError unless it reveals as a teacher does: by one network call a step, in a uniform order."""
        known = [name for name, each in SAMPLERS.items() if _reveals_as_teachers_do(each)]
        if not _reveals_as_teachers_do(sampler):
            raise InputError("sampler", f"be one of {known} for {self.method}", sampler.name)
        if in_counts_only(sampler) and self.gain_on == "score":
            remedy = "use gain_on: log_score, or a sampler of times"
            raise InputError("gain_on", f"be log_score for {sampler.name}", self.gain_on, remedy)


def _reveals_as_teachers_do(sampler: Sampler) -> bool:
    return learnable(sampler) and sampler.order.exchangeable


def check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(name, "be an integer >= 1", value)


def check_positive(name: str, value: float) -> None:
    if not 0 < value < float("inf"):
        raise InputError(name, "be positive and finite", value)
