"""Promotion: a candidate must beat every control at equal diversity, on fresh seeds, and repeat itself no more often.

What is compared are the samples of the table that ships, on sampling seeds that chose nothing: the errors against the
envelope of each control's temperatures (`envelope`), the samples against one another (`guards`). Samples are paired
(equal seed and trajectory mean equal uniforms), and the bootstrap resamples them in pairs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed
from lsd_core.statistics.bootstrap import RESAMPLES
from lsd_core.statistics.envelope import TOLERANCE, Comparison, compare_all
from lsd_core.statistics.guards import Guard, Guarded
from lsd_core.statistics.scored import Scored


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
    guarded: tuple[Guarded, ...]
    """One for each candidate, where a guard was given."""
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for a card or a report."""
        return asdict(self)


def promote(
    candidates: Sequence[Scored],
    controls: Mapping[str, Sequence[Scored]],
    *,
    guard: Guard | None = None,
    seed: int | None = None,
    keepers: Sequence[Scored] | None = None,
    reference_entropy: float | None = None,
    teacher_entropy: float | None = None,
    tolerance: float = TOLERANCE,
    resamples: int = RESAMPLES,
) -> Verdict:
    """Decide who holds an alias among `candidates` and `controls` (family name -> its temperatures).

    A candidate wins when it beats the envelope of every family (`compare_all`, the bounds corrected for the number of
    candidates) and passes the `guard`. Among the winners the lowest selection mean becomes champion, so the reported
    numbers chose nothing. Where a family's temperatures cannot reach the candidate's entropy, `teacher_entropy` may
    allow a comparison all the same.

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
        candidates=max(1, len(candidates)),
    )
    guarded = () if guard is None else tuple(guard.check(candidate) for candidate in candidates)
    each = len(families)
    winners = [
        candidate
        for number, candidate in enumerate(candidates)
        if all(comparison.wins for comparison in comparisons[number * each : (number + 1) * each])
        and (guard is None or guarded[number].passes)
    ]
    if winners:
        champion = min(winners, key=_selection_mean)
        sentence = f"{champion.label} beats every control at its own entropy and holds the alias."
    else:
        kept = keepers if keepers is not None else [point for family in families.values() for point in family]
        champion = min(_as_diverse(kept, reference_entropy, tolerance), key=_selection_mean)
        sentence = f"No candidate beats every control; the control {champion.label} keeps the alias."
        beaten = _beat_all(candidates, comparisons)
        if beaten:
            sentence = (
                f"Every control is beaten by {' and '.join(beaten)}, which the guard across samples refuses; "
                f"the control {champion.label} keeps the alias."
            )
    return Verdict(
        champion=champion.label,
        key=champion.key,
        won=bool(winners),
        selection=_selection_mean(champion),
        report=float(champion.report.mean()),
        entropy=champion.entropy,
        comparisons=tuple(comparisons),
        guarded=guarded,
        sentence=sentence,
    )


def median_seed(values: Mapping[int, float]) -> int:
    """The seed whose value (lower is better) is the median; of an even number the worse of the middle two.

    A value that is not finite counts as the worst; ties go by seed. So a seed is never shipped for its luck.
    """
    if not values:
        raise InputError("seeds", "be at least one", "none")
    ranked = sorted(values, key=lambda seed: (values[seed] if np.isfinite(values[seed]) else np.inf, seed))
    return ranked[len(ranked) // 2]


def _selection_mean(scored: Scored) -> float:
    return float(scored.selection.mean())


def _beat_all(candidates: Sequence[Scored], comparisons: Sequence[Comparison]) -> list[str]:
    """Labels of the candidates that beat every control."""
    lost = {comparison.candidate for comparison in comparisons if not comparison.wins}
    return [candidate.label for candidate in candidates if candidate.label not in lost]


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
