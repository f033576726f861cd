"""Numbers of rows as text: means with intervals, certificates with standard errors and references."""

import math
from collections.abc import Sequence

from flows.report.table_rows import Row
from lsd_core.cards import Metric

MARKS = "abcdefgh"  # of the references in a table that mixes them


def nats_text(row: Row) -> str:
    """`22.3 ± 0.4`: the certificate with its standard error; empty where there is none."""
    value = row.certificate_value_nats
    return "" if value is None else estimate_text(value, row.certificate_standard_error)


def estimate_text(value: float, error: float) -> str:
    """A value with its standard error, to the digits that the error leaves."""
    if not error > 0 or not math.isfinite(value) or not math.isfinite(error):
        return f"{value:.3g}" if math.isfinite(value) else "not finite"
    power = math.floor(math.log10(error))
    decimals = max(
        0, (1 if error < 2 * 10.0**power else 0) - power
    )  # two digits of an error that begins with 1
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def certificate_cell(row: Row, references: Sequence[str]) -> str:
    """`22.3±0.4` for a terminal, marked with its reference in a table that mixes them."""
    name, text = row.certificate_reference, nats_text(row).replace(" ", "")
    return f"{text} {MARKS[references.index(name) % len(MARKS)]}" if text and len(references) > 1 else text


def references_of(rows: Sequence[Row]) -> list[str]:
    """The references of the certificates in a table."""
    return list(dict.fromkeys(r.certificate_reference for r in rows if r.certificate_value_nats is not None))


def reference_notes(references: Sequence[str]) -> list[str]:
    """What the certificates of a table compare with, a line each."""
    marks = [f" {mark}" for mark in MARKS] if len(references) > 1 else [""]
    return [
        f"nats{marks[k % len(marks)]}: certificate_value_nats ± standard error, from {name}"
        for k, name in enumerate(references)
    ]


def gap_text(row: Row) -> str:
    """`halton order is 0.02 ± 0.01 nat from uniform order, 0.03 ± 0.02 back`; empty where it was not measured."""
    gap = row.order_gap
    if gap is None:
        return ""
    there, back = gap.both
    return (
        f"{row.sampler} order is {estimate_text(*there)} nat a sequence from uniform order, "
        f"{estimate_text(*back)} back, one by one ({gap.samples} samples each way)"
    )


def metric_text(metric: Metric) -> str:
    """`0.0223 (0.0213 to 0.0233)`."""
    if metric.low is None or metric.high is None:
        return short(metric.mean)
    return f"{short(metric.mean)} ({short(metric.low)} to {short(metric.high)})"


def short(value: float | None) -> str:
    """Four digits."""
    return "not finite" if value is None else f"{value:.4g}"
