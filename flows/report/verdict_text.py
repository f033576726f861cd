"""The verdict in words, every one computed from the numbers: what was won, what it cost, what was lost."""

from dataclasses import dataclass

from flows.report.page_data import Book, Entry
from lsd_core.distillation.methods import BASELINE
from lsd_core.statistics.promotion import TOLERANCE, Comparison
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
    """What is to be said about one budget."""

    nfe: int
    won: bool
    headline: str
    sentences: tuple[str, ...]
    losses: tuple[str, ...]


def speed_ups(book: Book) -> list[SpeedUp]:
    """Each sampler but plain ones, at equal error; plain steps straight in log-log between measured budgets."""
    plain = [(nfe, entry) for nfe in book.budgets if (entry := book.baseline(nfe)) is not None]
    if not plain:
        return []
    budgets, errors = [nfe for nfe, _ in plain], [_mean(entry) for _, entry in plain]
    return [
        SpeedUp(entry=entry, reach=reach(_mean(entry), budgets, errors))
        for entry in book.entries
        if entry.spec.method != BASELINE
    ]


def summary(book: Book) -> str:
    """The first sentence of the page."""
    won = [alias for alias, verdict in book.verdicts.items() if verdict.won]
    lost = [alias for alias, verdict in book.verdicts.items() if not verdict.won]
    if not book.verdicts:
        return "No budget could be decided: there are no plain steps to compare with."
    if not won:
        return f"No learned sampler beats the controls: they keep {_join(lost)}."
    text = (
        f"Learned samplers beat every control at {_join([alias.removeprefix('nfe') for alias in won])} calls"
    )
    return f"{text}; controls keep {_join(lost)}." if lost else f"{text}."


def findings(book: Book) -> list[Finding]:
    """One for each budget that has a verdict."""
    faster = {id(speed_up.entry): speed_up for speed_up in speed_ups(book)}
    return [_finding(book, nfe, faster) for nfe in book.budgets if f"nfe{nfe}" in book.verdicts]


def _finding(book: Book, nfe: int, faster: dict[int, SpeedUp]) -> Finding:
    verdict, plain = book.verdicts[f"nfe{nfe}"], book.baseline(nfe)
    best = next((e for e in book.at(nfe) if verdict.key in (e.spec.key, e.spec.work.key)), None)
    best = best or book.champion(nfe)
    sentences: list[str] = []
    headline = verdict.sentence
    if best is not None and plain is not None and best is not plain:
        headline = (
            f"{best.label} {'wins' if verdict.won else 'keeps the alias'}: {_against(book, best, plain)}"
        )
        sentences.append(_speed(faster.get(id(best)), book))
    if best is not None:
        sentences += [_teacher(book, best), _proof(best, plain)]
    losses = (
        [_worse(book, best, plain)] if best is not None and plain is not None and best is not plain else []
    )
    losses += _not_won(book, nfe)
    return Finding(
        nfe=nfe,
        won=verdict.won,
        headline=headline,
        sentences=tuple(filter(None, sentences)),
        losses=tuple(filter(None, losses)),
    )


def _against(book: Book, best: Entry, plain: Entry) -> str:
    one, other = _mean(best), _mean(plain)
    ratio = f"{one / other:.3g} times" if other > 0 else "no more than"
    return f"{ratio} the {book.task.primary} of plain steps ({one:.4g} against {other:.4g})."


def _speed(speed_up: SpeedUp | None, book: Book) -> str:
    if speed_up is None:
        return ""
    nfe, found = speed_up.entry.spec.nfe, speed_up.reach
    if found.side == "beyond":
        text = f"Plain steps do not get there with {found.nfe:g} calls, the most measured"
        return f"{text}: more than {speed_up.factor:.3g}x." if speed_up.telling else f"{text}."
    if found.side == "below":
        return f"Plain steps are as good with {found.nfe:g} calls, the fewest measured."
    return f"Plain steps need about {found.nfe:.3g} calls for the same {book.task.primary}: {found.nfe / nfe:.3g}x."


def _teacher(book: Book, best: Entry) -> str:
    if book.teacher is None:
        return ""
    error, calls = book.teacher.metrics[book.task.primary], book.teacher.calls_max
    gap = f"{_mean(best) / error:.3g} times that" if error > 0 else f"{_mean(best):.4g} here"
    return f"The teacher has {error:.4g} with {calls} calls; this is {gap} with {best.spec.nfe}."


def _proof(best: Entry, plain: Entry | None) -> str:
    mine = (best.card.certificate or {}).get("value_nats")
    if mine is None:
        return ""
    text = f"Its law is at most about {mine:.3g} nat from that of {_reference(best)}"
    other = None if plain is None or plain is best else (plain.card.certificate or {}).get("value_nats")
    if other is None or plain is None:
        return f"{text}."
    where = "" if _reference(plain) == _reference(best) else " from that of their own order"
    return f"{text} (plain steps: {other:.3g}{where})."


def _reference(entry: Entry) -> str:
    return str((entry.card.certificate or {}).get("reference", "the network"))


def _worse(book: Book, best: Entry, plain: Entry) -> str:
    """Metrics in which the winner is further from the teacher than plain steps are."""
    if book.teacher is None:
        return ""
    worse = []
    for name, truth in book.teacher.metrics.items():
        mine, other = (e.card.evaluation.report.get(name) for e in (best, plain))
        if mine is None or other is None or mine.mean is None or other.mean is None:
            continue
        slack = TOLERANCE if name.endswith("entropy") else 0.0
        if abs(mine.mean - truth) > abs(other.mean - truth) + slack:
            worse.append(f"{name} ({mine.mean:.4g} against {other.mean:.4g}; teacher {truth:.4g})")
    return f"Further from the teacher than plain steps in {_join(worse)}." if worse else ""


def _not_won(book: Book, nfe: int) -> list[str]:
    """Learned samplers that did not beat every control, each with what stopped it."""
    lost: dict[str, list[Comparison]] = {}
    for comparison in book.verdicts[f"nfe{nfe}"].comparisons:
        if not comparison.wins:
            lost.setdefault(comparison.candidate, []).append(comparison)
    return [" ".join(comparison.sentence for comparison in mine) for mine in lost.values()]


def _mean(entry: Entry) -> float:
    return float("nan") if entry.card.primary.mean is None else entry.card.primary.mean


def _join(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else "none"
