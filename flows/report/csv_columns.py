"""Columns of every CSV file of rows: table.csv of a run and of a study, NAME.csv of a page."""

import csv
import math
from collections.abc import Mapping, Sequence
from typing import TextIO

from flows.report.table_rows import UNKNOWN, Row
from lsd_core.cards import plain


def metric_names(rows: Sequence[Row]) -> list[str]:
    """The deciding metrics, the diversity metrics, then the rest by name."""
    first = [row.primary_metric for row in rows] + [row.diversity_metric for row in rows]
    return list(dict.fromkeys([*first, *sorted({name for row in rows for name in row.metrics})]))


def record(row: Row, names: Sequence[str]) -> dict[str, object]:
    """The columns of a row in every CSV file, as docs/metrics.md lists them; None where nothing was measured."""
    values = {
        f"{name}{end}": getattr(row.metrics.get(name, UNKNOWN), part)
        for name in names
        for end, part in (("", "mean"), ("_low", "low"), ("_high", "high"))
    }
    certified = row.certificate_value_nats is not None
    return {
        "backbone": row.backbone,
        "nfe": row.nfe,
        "label": row.label or row.method,
        "method": row.method,
        "sampler": row.sampler,
        "samplers": " ".join(row.samplers),
        "steps_in": row.steps_in,
        "aliases": " ".join(row.aliases),
        "uri": row.uri,
        "seed": row.seed,
        "calls_mean": None if math.isnan(row.calls_mean) else row.calls_mean,
        "calls_max": row.calls_max or None,
        "certificate_value_nats": row.certificate_value_nats,
        "certificate_standard_error": row.certificate_standard_error if certified else None,
        "certificate_reference": row.certificate_reference,
        "primary_metric": row.primary_metric,
        "diversity_metric": row.diversity_metric,
        **values,
        **_gap(row),
    }


def _gap(row: Row) -> dict[str, object]:
    """How far an order is from the uniform one, in the rows of one token a call."""
    gap = row.order_gap
    if gap is None:
        return {}
    return {
        "order_gap_nats": plain(gap.nats),
        "order_gap_standard_error": plain(gap.standard_error),
        "order_gap_back_nats": plain(gap.back_nats),
        "order_gap_back_standard_error": plain(gap.back_standard_error),
        "order_gap_uniform_nats": plain(gap.uniform_nats),
        "order_gap_uniform_standard_error": plain(gap.uniform_standard_error),
    }


def write_csv(records: Sequence[Mapping[str, object]], file: TextIO) -> None:
    """One line a record, under every column that any of them has."""
    columns = list(dict.fromkeys(name for one in records for name in one))
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_cell(name) for name in columns])
    writer.writerows([_cell(one.get(name, "")) for name in columns] for one in records)


def _cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets a quote before it, which spreadsheets do not show."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@") else value
