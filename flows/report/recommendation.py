"""What to use at each budget, and how much better it is than what people run by default: plain steps and confidence."""

from dataclasses import dataclass

from flows.pipeline.standings import scored_as_shipped
from flows.report.page_data import Entry, PageData
from flows.report.verdict_text import certainty
from lsd_core.distillation.methods import BASELINE
from lsd_core.numerics.number_text import entropy_text, ratio_text, signed
from lsd_core.processes import Absorbing
from lsd_core.statistics.differences import Difference, paired
from lsd_core.statistics.envelope import TOLERANCE

CONFIDENCE = ("confidence_drawn", "confidence")
"""Base samplers of confidence-based unmasking: of the drawn token (MaskGIT, LLaDA; a method too), of the likeliest."""


@dataclass(frozen=True, kw_only=True)
class Against:
    """The recommended sampler's error against another's, as both were measured: paired samples, temperature 1."""

    entry: Entry
    ratio: str
    """Of the errors; empty where the other's is zero."""
    difference: Difference
    entropy: float
    """The recommended sampler's less the other's, in nats."""

    @property
    def interval(self) -> str:
        """`-0.1607 (-0.1731 to -0.1469)`: the difference with its 95% interval."""
        by = self.difference
        return f"{signed(by.mean)} ({signed(by.low)} to {signed(by.high)})"

    @property
    def note(self) -> str:
        """Said where the entropies differ, since a lower error may come from a lower entropy."""
        if abs(self.entropy) <= TOLERANCE:
            return ""
        side = "lower" if self.entropy < 0 else "higher"
        return f"entropy {entropy_text(abs(self.entropy))} nat {side}"


@dataclass(frozen=True, kw_only=True)
class Recommendation:
    """The sampler that holds `nfe<N>`."""

    entry: Entry
    plain: Against | None
    """None where it is plain steps itself, or where these were not measured."""
    confidence: Against | None
    """The best of confidence-based unmasking at plain steps; None where it is that itself, or not measured."""
    confidence_measured: bool
    control: Against | None
    """The best of the other controls."""
    certainty: str

    @property
    def is_plain(self) -> bool:
        return self.plain is None and self.entry.spec.method == BASELINE

    @property
    def confidence_text(self) -> str:
        """In place of a comparison with confidence-based unmasking, where there is none."""
        if self.confidence:
            return ""
        if self.confidence_measured:
            return "is that itself"
        has_mask = self.entry.spec.process["kind"] == Absorbing.kind
        return f"not measured: add {CONFIDENCE[0]} to the methods" if has_mask else "none without a mask"


def recommendations(data: PageData) -> list[Recommendation]:
    """One for each budget that has a champion."""
    return [_of(data, entry) for nfe in data.budgets if (entry := data.champion(nfe)) is not None]


def confidence_steps(data: PageData, nfe: int) -> Entry | None:
    """The best of confidence-based unmasking at plain steps."""
    methods = (BASELINE, *CONFIDENCE)
    return next((e for e in data.at(nfe) if e.spec.method in methods and e.spec.sampler in CONFIDENCE), None)


def _of(data: PageData, entry: Entry) -> Recommendation:
    nfe = entry.spec.nfe
    plain, confidence = data.baseline(nfe), confidence_steps(data, nfe)
    others = [
        each for each in data.at(nfe) if not each.row.learned and each not in (entry, plain, confidence)
    ]
    return Recommendation(
        entry=entry,
        plain=_against(data, entry, plain),
        confidence=_against(data, entry, confidence),
        confidence_measured=confidence is not None,
        control=_against(data, entry, others[0] if others else None),
        certainty=certainty(data, nfe),
    )


def _against(data: PageData, entry: Entry, other: Entry | None) -> Against | None:
    if other is None or other is entry:
        return None
    one, two = (scored_as_shipped(data.store, each.spec).report for each in (entry, other))
    return Against(
        entry=other,
        ratio=ratio_text(entry.row.mean, other.row.mean),
        difference=paired(one, two),
        entropy=entry.row.entropy - other.row.entropy,
    )
