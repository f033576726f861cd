"""Promotion: who holds an alias. A candidate must beat every control at equal diversity, on fresh seeds.

A lower temperature lowers the error of any sampler and its entropy with it, so a candidate is compared with
each control at the candidate's own entropy: a control is a family of temperatures, interpolated there.
Samples are paired (equal seed and trajectory mean equal uniforms), and the bootstrap resamples them in pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.statistics.bootstrap import RESAMPLES, bootstrap_uppers

TOLERANCE = 0.02  # nat: entropies closer than this are called equal


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """What one sampler scored, per sample. Rows are seeds, columns samples; lower is better."""

    method: str
    """`lsd`, `path_kl`, ..., or a control: `plain`, `cosine`, ..."""
    sampler: str
    """Base sampler."""
    nfe: int
    """Budget of network calls."""
    selection: Float[np.ndarray, "a m"]
    """Primary metric on seeds A, which select."""
    report: Float[np.ndarray, "b n"]
    """Primary metric on fresh seeds B, which decide and are quoted."""
    entropy: float
    """Diversity on the report seeds, in nats."""
    temperature: float = 1.0
    """What the log-scores were divided by."""
    key: str = ""
    """Whatever the caller finds it again by, such as the hash of its card."""

    def __post_init__(self) -> None:
        for name in ("selection", "report"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all():
                shown = f"shape {values.shape}, {int((~np.isfinite(values)).sum())} values not finite"
                raise InputError(
                    f"{name} of {self.label}", "be finite values of shape (seeds, samples)", shown
                )
            object.__setattr__(self, name, values)
        if not np.isfinite(self.entropy):
            raise InputError(f"entropy of {self.label}", "be finite", self.entropy)

    @property
    def label(self) -> str:
        """For people: `lsd (euler, nfe 8)`."""
        heat = "" if self.temperature == 1 else f", temperature {self.temperature:g}"
        return f"{self.method} ({self.sampler}, nfe {self.nfe}{heat})"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One candidate against one control family, on the report seeds."""

    candidate: str
    control: str
    entropy: float
    """The candidate's, in nats."""
    control_entropy: tuple[float, float]
    """Lowest and highest entropy of the family."""
    bracket: tuple[str, ...]
    """The one or two points of the family it was compared with; none where not comparable."""
    difference: float | None
    """Mean of candidate minus control; negative is better. None where not comparable."""
    upper: float | None
    """Upper end of the one-sided 95% paired bootstrap interval of the difference."""
    wins: bool
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Who holds the alias, and why. `won` says whether the champion is a candidate or a control."""

    champion: str
    key: str
    won: bool
    selection: float
    """The champion's mean on the selection seeds."""
    report: float
    """The champion's mean on the report seeds: the number to quote."""
    entropy: float
    comparisons: tuple[Comparison, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a card or a report."""
        return asdict(self)


def promote(
    candidates: Sequence[Scored],
    controls: Mapping[str, Sequence[Scored]],
    *,
    seed: int | None = None,
    keepers: Sequence[Scored] | None = None,
    reference_entropy: float | None = None,
    teacher_entropy: float | None = None,
    tolerance: float = TOLERANCE,
    resamples: int = RESAMPLES,
) -> Verdict:
    """Decide who holds an alias among `candidates` and `controls` (family name -> its temperatures).

    A candidate wins when, for every family, its entropy lies in the family's range (or within `tolerance`
    of its nearest end) and the bootstrap bound of its paired difference is below 0. Among the winners the
    lowest selection mean becomes champion, so the reported numbers chose nothing. Where a family's
    temperatures cannot reach the candidate's entropy, see `_match` for what `teacher_entropy` allows.

    Without a winner the best of the `keepers` (by default every point of every family) keeps the alias: the
    lowest selection mean among those as diverse as `reference_entropy`, less `tolerance`. By default that is
    the entropy of the plain keeper at temperature 1 (the lowest, if several): cooling alone takes no alias.
    """
    families = {name: tuple(points) for name, points in controls.items()}
    if not families or not all(families.values()):
        raise InputError("controls", "name at least one family, each with at least one point", list(families))
    seed = derive_seed("promotion") if seed is None else seed
    comparisons = compare_all(
        [(candidate, *family) for candidate in candidates for family in families.items()],
        seed=seed,
        teacher_entropy=teacher_entropy,
        tolerance=tolerance,
        resamples=resamples,
    )
    each = len(families)
    winners = [
        candidate
        for number, candidate in enumerate(candidates)
        if all(comparison.wins for comparison in comparisons[number * each : (number + 1) * each])
    ]
    if winners:
        champion = min(winners, key=_selection_mean)
        sentence = f"{champion.label} beats every control at its own entropy and holds the alias."
    else:
        kept = keepers if keepers is not None else [point for family in families.values() for point in family]
        champion = min(_as_diverse(kept, reference_entropy, tolerance), key=_selection_mean)
        sentence = f"No candidate beats every control; the control {champion.label} keeps the alias."
    return Verdict(
        champion=champion.label,
        key=champion.key,
        won=bool(winners),
        selection=_selection_mean(champion),
        report=float(champion.report.mean()),
        entropy=champion.entropy,
        comparisons=tuple(comparisons),
        sentence=sentence,
    )


def compare(
    candidate: Scored,
    name: str,
    family: Sequence[Scored],
    *,
    seed: int,
    teacher_entropy: float | None = None,
    tolerance: float = TOLERANCE,
    resamples: int = RESAMPLES,
) -> Comparison:
    """The candidate against a control family, interpolated to the candidate's entropy."""
    return compare_all(
        [(candidate, name, family)],
        seed=seed,
        teacher_entropy=teacher_entropy,
        tolerance=tolerance,
        resamples=resamples,
    )[0]


def compare_all(
    pairs: Sequence[tuple[Scored, str, Sequence[Scored]]],
    *,
    seed: int,
    teacher_entropy: float | None = None,
    tolerance: float = TOLERANCE,
    resamples: int = RESAMPLES,
) -> list[Comparison]:
    """`compare` of each (candidate, name of the family, family), the resamples drawn once for all."""
    matches = [_match(candidate, family, teacher_entropy, tolerance) for candidate, _, family in pairs]
    uppers = iter(bootstrap_uppers([m.difference for m in matches if m], seed=seed, resamples=resamples))
    return [
        _comparison(candidate, name, family, match, next(uppers) if match else None, tolerance)
        for (candidate, name, family), match in zip(pairs, matches, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class _Match:
    """What stands for a control family at a candidate's entropy, and the paired difference to it."""

    bracket: tuple[str, ...]
    difference: Float[np.ndarray, "b n"]


def _match(
    candidate: Scored, family: Sequence[Scored], teacher_entropy: float | None, tolerance: float
) -> _Match | None:
    """The family interpolated to the candidate's entropy; None where the two cannot be compared.

    A family may not reach it at any temperature: steps that contradict each other distort the histogram too.
    The candidate is then held against the family's nearest end, provided that its entropy is no further from
    the teacher's than that end's is, plus `tolerance`: being more like the teacher is no way to buy an error.
    """
    points = sorted(family, key=lambda point: point.entropy)
    weights = interpolation(candidate.entropy, [point.entropy for point in points], tolerance)
    if not weights and teacher_entropy is not None:
        end = 0 if candidate.entropy < points[0].entropy else len(points) - 1
        allowed = abs(points[end].entropy - teacher_entropy) + tolerance
        weights = {end: 1.0} if abs(candidate.entropy - teacher_entropy) <= allowed else {}
    if not weights:
        return None
    bracket = tuple(points[index].label for index in weights)
    return _Match(bracket, _paired_difference(candidate, points, weights))


def _comparison(
    candidate: Scored,
    name: str,
    family: Sequence[Scored],
    match: _Match | None,
    upper: float | None,
    tolerance: float,
) -> Comparison:
    """The comparison in numbers and in words."""
    low, high = (bound(point.entropy for point in family) for bound in (min, max))
    mean, wins = None, False
    if match is not None and upper is not None:
        mean, wins = float(match.difference.mean()), upper < 0
        sentence = (
            f"{candidate.label} {'beats' if wins else 'does not beat'} {name} at {candidate.entropy:.3f} nat: "
            f"the difference is {mean:+.4g}, its 95% bound {upper:+.4g}."
        )
    else:
        sentence = (
            f"{candidate.label} is not comparable with {name}: its entropy of {candidate.entropy:.3f} nat "
            f"lies outside {low:.3f} to {high:.3f} by more than {tolerance:g}, "
            "so the control keeps the alias."
        )
    return Comparison(
        candidate=candidate.label,
        control=name,
        entropy=candidate.entropy,
        control_entropy=(low, high),
        bracket=match.bracket if match else (),
        difference=mean,
        upper=upper,
        wins=wins,
        sentence=sentence,
    )


def interpolation(
    entropy: float, ascending: Sequence[float], tolerance: float = TOLERANCE
) -> dict[int, float]:
    """Weights of the points of a family that stand for it at `entropy`; they sum to 1.

    Two neighbours inside the range (linear in entropy), the nearest end within `tolerance` outside it, and
    nothing beyond. The error of a temperature sweep is convex in entropy as a rule, and a chord lies above a
    convex curve: keep the sweep's points close together, or the control looks worse than it is.
    """
    low, high = ascending[0], ascending[-1]
    if entropy <= low or entropy >= high:
        end = 0 if entropy <= low else len(ascending) - 1
        return {end: 1.0} if abs(entropy - ascending[end]) <= tolerance else {}
    right = int(np.searchsorted(ascending, entropy, side="right"))
    share = (entropy - ascending[right - 1]) / (ascending[right] - ascending[right - 1])
    return {right - 1: 1.0 - share} | ({right: share} if share > 0 else {})


def median_seed(values: Mapping[int, float]) -> int:
    """The seed whose value (lower is better) is the median; of an even number the worse of the middle two.

    A value that is not finite counts as the worst; ties go by seed. So a seed is never shipped for its luck.
    """
    if not values:
        raise InputError("seeds", "be at least one", "none")
    ranked = sorted(values, key=lambda seed: (values[seed] if np.isfinite(values[seed]) else np.inf, seed))
    return ranked[len(ranked) // 2]


def _paired_difference(
    candidate: Scored, points: Sequence[Scored], weights: Mapping[int, float]
) -> Float[np.ndarray, "b n"]:
    """Candidate minus the weighted control, sample by sample."""
    difference = candidate.report.copy()
    for index, weight in weights.items():
        control = points[index].report
        if control.shape != difference.shape:
            field = f"report of {points[index].label}"
            raise InputError(field, f"be paired with {difference.shape}", control.shape)
        difference -= weight * control
    return difference


def _selection_mean(scored: Scored) -> float:
    return float(scored.selection.mean())


def _as_diverse(points: Sequence[Scored], reference: float | None, tolerance: float) -> list[Scored]:
    """The points at least as diverse as the reference, less the tolerance; never none."""
    if reference is None:
        plain = [point.entropy for point in points if point.method == "plain" and point.temperature == 1]
        if not plain:
            labels = [point.label for point in points]
            remedy = "add it, or give reference_entropy"
            raise InputError("controls", "contain the plain sampler at temperature 1", labels, remedy)
        reference = min(plain)
    kept = [point for point in points if point.entropy >= reference - tolerance]
    return kept or [max(points, key=lambda point: point.entropy)]
