"""The guard across samples: a candidate may not repeat itself, nor distort marginals, to win on errors.

Against the teacher: at every window length two samples of the candidate coincide at most RATIO times as often as two
of the teacher's. Against plain steps: the total variation of the marginals from the teacher's is larger by less than
MARGIN. Both are shown, not presumed: the upper end of a one-sided 95% bootstrap interval must lie within. What was not
measured was not shown, so a candidate without these statistics cannot win.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from lsd_core.metrics.across import Across
from lsd_core.numerics.canonical import derive_seed
from lsd_core.statistics.bootstrap import RESAMPLES, bootstrap_uppers
from lsd_core.statistics.scored import Scored

RATIO = 2.0  # half as many different windows as the teacher, in effect
MARGIN = 0.05  # one token in twenty elsewhere
UNSEEN = 3.0  # coincidences that none observed do not exclude, at 95% (the rule of three)


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """The guard's finding about one candidate."""

    candidate: str
    passes: bool
    sentence: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Guard:
    """Statistics that candidates are compared with, as far as they were measured."""

    teacher: Across | None
    """Of the teacher's own sequences."""
    baselines: Mapping[str, Sequence[Across]]
    """By base sampler: of plain steps, one a report seed, paired with the candidate's."""
    resamples: int = RESAMPLES

    def check(self, candidate: Scored) -> Guarded:
        """Whether the candidate's samples are as different from one another, and as well spread, as they must be."""
        baseline = self.baselines.get(candidate.sampler) or next(iter(self.baselines.values()), ())
        measured = {
            "the teacher": bool(self.teacher),
            "the candidate": bool(candidate.across) and all(candidate.across),
            "plain steps": bool(baseline) and all(baseline),
        }
        if self.teacher is None or not all(measured.values()):
            named = " and ".join(name for name, found in measured.items() if not found)
            why = f"{candidate.label} cannot win: not measured across samples ({named})."
            return Guarded(candidate=candidate.label, passes=False, sentence=why)
        faults = [
            *self._coincidences(candidate.across, self.teacher),
            *self._marginals(candidate.across, baseline, self.teacher),
        ]
        if faults:
            sentence = f"{candidate.label} cannot win: {'; '.join(faults)}."
        else:
            sentence = f"{candidate.label} repeats itself no more than its teacher, and its marginals hold."
        return Guarded(candidate=candidate.label, passes=not faults, sentence=sentence)

    def _coincidences(self, samples: Sequence[Across], teacher: Across) -> list[str]:
        """Window lengths at which the samples coincide too often."""
        sizes = sorted(set(samples[0].coincidence) & set(teacher.coincidence))
        values = [np.stack([each.coincidence[size] for each in samples]) for size in sizes]
        uppers = bootstrap_uppers(values, seed=derive_seed("guard"), resamples=self.resamples)
        faults = []
        for size, value, upper in zip(sizes, values, uppers, strict=True):
            truth = float(teacher.coincidence[size].mean())
            unseen = UNSEEN / _pairs(teacher.coincidence[size]) + UNSEEN / sum(map(_pairs, value))
            if upper > RATIO * truth + unseen:
                faults.append(
                    f"two of its samples share a window of {size} with chance {value.mean():.3g} (at most "
                    f"{upper:.3g}), two of the teacher's with {truth:.3g}, and up to {RATIO:g} times that is allowed"
                )
        return faults[-1:]  # the longest says most

    def _marginals(self, samples: Sequence[Across], baseline: Sequence[Across], teacher: Across) -> list[str]:
        """Places whose marginals are further from the teacher's than plain steps' are."""
        faults = []
        for name in sorted(set(samples[0].places) & set(baseline[0].places) & set(teacher.places)):
            truth = teacher.places[name]
            ours, plain = (
                _tv_values([each.places[name] for each in side], truth) for side in (samples, baseline)
            )
            [upper] = bootstrap_uppers([ours - plain], seed=derive_seed("guard"), resamples=self.resamples)
            if upper > MARGIN:
                faults.append(
                    f"the marginals of {name} are {ours.mean():.3f} from the teacher's in total variation, plain "
                    f"steps' {plain.mean():.3f}: further by up to {upper:.3f}, and {MARGIN:g} is allowed"
                )
        return faults


def _pairs(values: np.ndarray) -> float:
    """Pairs of samples."""
    return len(values) * (len(values) - 1) / 2


def _tv_values(rows: Sequence[np.ndarray], truth: np.ndarray) -> Float[np.ndarray, "b n"]:
    """One value a sample whose mean is the total variation of the pooled marginals from the truth's.

    The mean over places of sum_v |p(v) - q(v)| / 2, each sample with its influence on it: half of sign(p - q) at its
    own token, less the mean of that.
    """
    pooled = np.concatenate(rows)
    values = np.zeros(len(pooled))
    for place in range(pooled.shape[1]):
        size = int(max(pooled[:, place].max(), truth[:, place].max())) + 1
        p, q = (np.bincount(side[:, place], minlength=size) / len(side) for side in (pooled, truth))
        sign = np.sign(p - q) / 2
        values += np.abs(p - q).sum() / 2 + sign[pooled[:, place]] - sign @ p
    return (values / pooled.shape[1]).reshape(len(rows), -1)
