"""Comparison of a candidate with a control at every temperature: the lower envelope of error over entropy.

A lower temperature lowers the error of any sampler and, as a rule, its entropy with it, so a control is a family
of temperatures. Entropy need not be monotone in temperature: a cooled sampler can have less error and more
entropy. So nothing is interpolated along the temperature. A candidate of entropy h is held against

- every point of the family whose entropy is at least h - TOLERANCE, and
- every mixture of a point below that and one above h: drawing from one or the other has the mean of the two errors
  and, since entropy is concave, at least the mean of the two entropies.

The lowest of these is the family's envelope at h. A candidate beats it if it beats each: that all of several bounds
hold needs no correction for their number (an intersection-union test, Berger 1982).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lsd_core.errors import InputError
from lsd_core.numerics.number_text import ROUNDING, signed
from lsd_core.statistics.bootstrap import CONFIDENCE, RESAMPLES, bootstrap_uppers
from lsd_core.statistics.scored import Scored

TOLERANCE = 0.02
"""nat: entropies closer than this are called equal. exp(0.02) is 1.02: two per cent of the effective number of tokens,
about the standard error of an entropy of ten labels on the 512 images of a demo grid; at 1024 samples x 3 seeds that
of a token histogram is a tenth of it."""


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
    """The one or two points of the family that are hardest to beat; none where not comparable."""
    difference: float | None
    """Mean of candidate minus those; negative is better. None where not comparable."""
    upper: float | None
    """Upper end of the one-sided paired bootstrap interval of the difference: 95% for all candidates together."""
    wins: bool
    sentence: str


def compare_all(
    pairs: Sequence[tuple[Scored, str, Sequence[Scored]]],
    *,
    seed: int,
    teacher_entropy: float | None = None,
    tolerance: float = TOLERANCE,
    resamples: int = RESAMPLES,
    candidates: int = 1,
) -> list[Comparison]:
    """Each (candidate, name of the family, family) compared, the resamples drawn once for all.

    With several `candidates` for one alias each is held to Bonferroni's bound, so that the chance of a false winner
    among them is at most 5%.
    """
    rivals = [_rivals_of(candidate, family, teacher_entropy, tolerance) for candidate, _, family in pairs]
    differences = [
        _paired_difference(candidate, family, weights)
        for (candidate, _, family), several in zip(pairs, rivals, strict=True)
        for weights in several
    ]
    confidence = 1 - (1 - CONFIDENCE) / candidates
    uppers = bootstrap_uppers(differences, seed=seed, resamples=resamples, confidence=confidence)
    found = iter(zip(differences, uppers, strict=True))
    comparisons = []
    for (candidate, name, family), several in zip(pairs, rivals, strict=True):
        held = [(upper, float(difference.mean())) for difference, upper in (next(found) for _ in several)]
        hardest = max(range(len(held)), key=lambda index: held[index], default=None)
        labels = () if hardest is None else tuple(family[index].label for index in several[hardest])
        upper, mean = (None, None) if hardest is None else held[hardest]
        comparisons.append(_comparison(candidate, name, family, labels, mean, upper, tolerance, candidates))
    return comparisons


def envelope_rivals(
    entropy: float, entropies: Sequence[float], tolerance: float = TOLERANCE
) -> list[dict[int, float]]:
    """Weights of the points, or mixtures of two, that a candidate of this entropy must beat; each sums to 1.

    None where the entropy lies outside the family's range by more than the tolerance: a family says nothing about
    entropies that none of its temperatures has.
    """
    if not min(entropies) - tolerance <= entropy <= max(entropies) + tolerance:
        return []
    rivals = [{index: 1.0} for index, value in enumerate(entropies) if value >= entropy - tolerance]
    for low, below in enumerate(entropies):
        for high, above in enumerate(entropies):
            if below < entropy - tolerance and above > entropy:
                share = (entropy - below) / (above - below)
                rivals.append({low: 1.0 - share, high: share})
    return rivals


def _rivals_of(
    candidate: Scored, family: Sequence[Scored], teacher_entropy: float | None, tolerance: float
) -> list[dict[int, float]]:
    """What stands for the family; none where the two cannot be compared.

    A family may not reach the candidate's entropy at any temperature: steps that contradict each other distort the
    histogram too. The candidate is then held against the family's nearest end, and all points above it, provided
    that its entropy is no further from the teacher's than that end's is, plus `tolerance`.
    """
    entropies = [point.entropy for point in family]
    rivals = envelope_rivals(candidate.entropy, entropies, tolerance)
    if rivals or teacher_entropy is None:
        return rivals
    end = min(entropies) if candidate.entropy < min(entropies) else max(entropies)
    if abs(candidate.entropy - teacher_entropy) > abs(end - teacher_entropy) + tolerance:
        return []
    return [{index: 1.0} for index, value in enumerate(entropies) if value >= end]


def _comparison(
    candidate: Scored,
    name: str,
    family: Sequence[Scored],
    bracket: tuple[str, ...],
    mean: float | None,
    upper: float | None,
    tolerance: float,
    candidates: int,
) -> Comparison:
    """The comparison in numbers and in words."""
    low, high = (bound(point.entropy for point in family) for bound in (min, max))
    wins = upper is not None and upper < -ROUNDING
    if mean is not None and upper is not None:
        several = "" if candidates == 1 else f" (for {candidates} candidates together)"
        sentence = (
            f"{candidate.label} {'beats' if wins else 'does not beat'} {name} at {candidate.entropy:.3f} nat: "
            f"the difference is {signed(mean)}, its 95% bound {signed(upper)}{several}."
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
        bracket=bracket,
        difference=mean,
        upper=upper,
        wins=wins,
        sentence=sentence,
    )


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
