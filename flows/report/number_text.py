"""Numbers of rows as text: means with intervals, certificates with standard errors and references."""

from collections.abc import Sequence

from flows.report.table_rows import Row
from lsd_core.cards import Metric
from lsd_core.numerics.number_text import estimate_text, interval_text

MARKS = "abcdefgh"  # of the references in a table that mixes them


def nats_text(row: Row) -> str:
    """`22.3 ± 0.4`: the certificate with its standard error; empty where there is none."""
    return estimate_text(row.certificate_value_nats, row.certificate_standard_error)


def certificate_cell(row: Row, references: Sequence[str]) -> str:
    """`22.3±0.4` for a terminal, marked with its reference in a table that mixes them."""
    name, text = row.certificate_reference, nats_text(row).replace(" ", "")
    return f"{text} {MARKS[references.index(name) % len(MARKS)]}" if text and len(references) > 1 else text


def references_of(rows: Sequence[Row]) -> list[str]:
    """The references of the certificates in a table."""
    return list(dict.fromkeys(r.certificate_reference for r in rows if r.certificate_value_nats is not None))


def reference_notes(references: Sequence[str]) -> list[str]:
    """What the certificates of a table compare with, a line each."""
    return [
        f"nats{f' {mark}' if mark else ''}: certificate_value_nats ± standard error, from {name}"
        for mark, name in marked(references)
    ]


def marked(references: Sequence[str]) -> list[tuple[str, str]]:
    """The references of a table with their marks; none for a single one."""
    alone = len(references) == 1
    return [("" if alone else MARKS[k % len(MARKS)], name) for k, name in enumerate(references)]


def gap_text(row: Row) -> str:
    """`halton order is 3.1 ± 0.2 nat a sequence from uniform order, 3.0 ± 0.2 back`, and two uniform orders'.

    Empty where it was not measured.
    """
    gap = row.order_gap
    if gap is None:
        return ""
    there, back = gap.both
    nats, error = gap.uniform_nats, gap.uniform_standard_error
    apart = "" if nats is None else f"; two uniform orders are {estimate_text(nats, error)} apart"
    return (
        f"{row.sampler} order is {estimate_text(*there)} nat a sequence from uniform order, "
        f"{estimate_text(*back)} back{apart}; one by one, {gap.samples} samples each way"
    )


def metric_text(metric: Metric) -> str:
    """`0.0223 (0.0213 to 0.0233)`."""
    return interval_text(metric.mean, metric.low, metric.high)
