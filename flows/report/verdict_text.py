"""The verdicts of a page in sentences computed from its numbers: wins, speed-ups, certificates, losses."""

from dataclasses import dataclass

from flows.report.page_data import Entry, PageData
from flows.report.table_rows import UNKNOWN
from lsd_core.distillation.methods import BASELINE
from lsd_core.numerics.number_text import short
from lsd_core.statistics.envelope import TOLERANCE
from lsd_core.statistics.speed_up import Reach, reach


@dataclass(frozen=True, kw_only=True)
class SpeedUp:
    """Plain steps of the same error: how many calls they would need."""

    entry: Entry
    reach: Reach

    @property
    def factor(self) -> float:
        """A lower bound where plain steps do not get there at all, an upper one where they always are."""
        return self.reach.nfe / self.entry.spec.nfe

    @property
    def telling(self) -> bool:
        """Whether it says anything: at the largest measured budget "beyond it" does not."""
        return self.reach.side == "at" or self.factor != 1

    @property
    def text(self) -> str:
        sign = {"at": "", "beyond": "> ", "below": "<= "}[self.reach.side]
        return f"{sign}{self.factor:.3g}x"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Sentences about one budget."""

    nfe: int
    won: bool
    sentences: tuple[str, ...]
    losses: tuple[str, ...]
    """Every comparison that was not won, what is worse, and what the guard refused, in words."""
    worse: str
    """Metrics in which the holder is further from the teacher than plain steps are."""


def speed_ups(data: PageData) -> list[SpeedUp]:
    """Each sampler but plain ones, at equal error; plain steps straight in log-log between measured budgets."""
    plain = [(nfe, entry) for nfe in data.budgets if (entry := data.baseline(nfe)) is not None]
    if not plain:
        return []
    budgets, errors = [nfe for nfe, _ in plain], [entry.row.mean for _, entry in plain]
    return [
        SpeedUp(entry=entry, reach=reach(entry.row.mean, budgets, errors))
        for entry in data.entries
        if entry.spec.method != BASELINE
    ]


def summary(data: PageData) -> str:
    """The first sentence of the page."""
    won = [alias for alias, verdict in data.verdicts.items() if verdict.won]
    lost = [alias for alias, verdict in data.verdicts.items() if not verdict.won]
    if not data.verdicts:
        return "No budget could be decided: there are no plain steps to compare with."
    if not won:
        return f"No learned sampler beats the controls: they keep {_join(lost)}."
    text = (
        f"Learned samplers beat every control at {_join([alias.removeprefix('nfe') for alias in won])} calls"
    )
    return f"{text}; controls keep {_join(lost)}." if lost else f"{text}."


def findings(data: PageData) -> list[Finding]:
    """One for each budget that has a verdict."""
    faster = {id(speed_up.entry): speed_up for speed_up in speed_ups(data)}
    return [_finding(data, nfe, faster) for nfe in data.budgets if f"nfe{nfe}" in data.verdicts]


def losses(data: PageData) -> list[str]:
    """What no table of comparisons shows: metrics that became worse, and candidates refused, together by reason."""
    refused: dict[str, list[str]] = {}
    for verdict in data.verdicts.values():
        for guarded in verdict.guarded:
            if not guarded.passes:
                reason = guarded.sentence.removeprefix(guarded.candidate).strip()
                refused.setdefault(reason, []).append(guarded.candidate)
    worse = [f"{finding.nfe} calls: {finding.worse}" for finding in findings(data) if finding.worse]
    return [*worse, *(f"{_join(names)} {reason}" for reason, names in refused.items())]


def _finding(data: PageData, nfe: int, faster: dict[int, SpeedUp]) -> Finding:
    verdict, plain = data.verdicts[f"nfe{nfe}"], data.baseline(nfe)
    best = data.champion(nfe) or next(
        (e for e in data.at(nfe) if verdict.key in (e.spec.key, e.spec.work.key)), None
    )
    sentences: list[str] = []
    if best is not None and plain is not None and best is not plain:
        sentences.append(_speed(faster.get(id(best)), data))
    if best is not None:
        sentences += [_teacher(data, best), _proof(best, plain)]
    worse = _worse(data, best, plain) if best is not None and plain is not None and best is not plain else ""
    lost = [each.sentence for each in verdict.comparisons if not each.wins]
    refused = [each.sentence for each in verdict.guarded if not each.passes]
    return Finding(
        nfe=nfe,
        won=verdict.won,
        sentences=tuple(filter(None, sentences)),
        losses=(*lost, *filter(None, [worse]), *refused),
        worse=worse,
    )


def _speed(speed_up: SpeedUp | None, data: PageData) -> str:
    if speed_up is None:
        return ""
    nfe, found = speed_up.entry.spec.nfe, speed_up.reach
    if found.side == "beyond":
        text = f"Plain steps do not get there with {found.nfe:g} calls, the most measured"
        return f"{text}: more than {speed_up.factor:.3g}x." if speed_up.telling else f"{text}."
    if found.side == "below":
        return f"Plain steps are as good with {found.nfe:g} calls, the fewest measured."
    return f"Plain steps need about {found.nfe:.3g} calls for the same {data.task.primary}: {found.nfe / nfe:.3g}x."


def _teacher(data: PageData, best: Entry) -> str:
    if data.teacher is None:
        return ""
    error, calls = data.teacher.mean, data.teacher.calls_max
    gap = f"{best.row.mean / error:.3g} times that" if error > 0 else f"{short(best.row.mean)} here"
    return f"The teacher has {short(error)} with {calls} calls; this is {gap} with {best.spec.nfe}."


def _proof(best: Entry, plain: Entry | None) -> str:
    """What the certificates prove: the estimates with two standard errors."""
    mine, reference = best.row.certificate_proves, best.row.certificate_reference or "the network"
    if not mine:
        return ""
    text = f"Its distribution is {mine} from that of {reference}"
    if plain is None or plain is best or not (other := plain.row.certificate_proves):
        return f"{text}."
    own = plain.row.certificate_reference != best.row.certificate_reference
    return f"{text} (plain steps: {other}{' from that of their own order' if own else ''})."


def _worse(data: PageData, best: Entry, plain: Entry) -> str:
    """Metrics in which the winner is further from the teacher than plain steps are."""
    if data.teacher is None:
        return ""
    worse = []
    for name in data.teacher.metrics:
        truth, mine, other = (
            row.metrics.get(name, UNKNOWN).mean for row in (data.teacher, best.row, plain.row)
        )
        if truth is None or mine is None or other is None:
            continue
        slack = TOLERANCE if name.endswith("entropy") else 0.0
        if abs(mine - truth) > abs(other - truth) + slack:
            worse.append(f"{name} ({short(mine)} against {short(other)}; teacher {short(truth)})")
    return f"Further from the teacher than plain steps in {_join(worse)}." if worse else ""


def certainty(data: PageData, nfe: int) -> str:
    """By how much the champion beats the controls, at 95% confidence; or that it is one, or was decided before."""
    verdict, holder = data.verdicts.get(f"nfe{nfe}"), data.champion(nfe)
    if verdict is None:
        return "not decided: plain steps were not measured"
    if holder is not None and verdict.champion not in _names(holder):
        return f"an earlier decision: of what is measured now {verdict.champion} would hold it"
    if not verdict.won:
        return "a control: no learned sampler beats every control"
    uppers = [each.upper for each in verdict.comparisons if each.candidate == verdict.champion]
    least = -max(upper for upper in uppers if upper is not None)
    return f"beats each of {len(uppers)} controls at its entropy, by {least:.2g} or more at 95% confidence"


def _names(entry: Entry) -> list[str]:
    """What verdicts call it, by each base sampler that shares its kernel."""
    row = entry.row
    return [f"{row.method} ({sampler}, nfe {row.nfe})" for sampler in row.samplers]


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"
