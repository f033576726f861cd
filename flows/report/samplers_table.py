"""`lsd samplers`: the versions of a registry, selected, sorted and as a table for the terminal."""

import math
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table

from flows.report.number_text import certificate_cell, nats_text, reference_notes, references_of
from flows.report.table_rows import row_of_version
from lsd_core.errors import InputError
from lsd_core.numerics.number_text import entropy_text, short

SORTS = ("nfe", "primary", "entropy", "bound", "version")
DESCENDING = ("entropy", "version")  # most diverse and newest first


def selected(
    rows: Sequence[dict[str, Any]],
    *,
    nfe: Sequence[int] | None = None,
    methods: Sequence[str] | None = None,
    samplers: Sequence[str] | None = None,
    champions: bool = False,
    max_primary: float | None = None,
    min_entropy: float | None = None,
    sort: str = "nfe",
) -> list[dict[str, Any]]:
    """The rows that meet every condition given, in order; what was not measured comes last and meets no limit.

    `sort` is one of `SORTS`, or the name of the deciding metric itself. A value that no row has is refused.
    """
    metric = next((row["primary_metric"] for row in rows), "primary")
    sort = "primary" if sort == metric else sort
    if sort not in SORTS:
        raise InputError("sort", f"be one of {', '.join((*SORTS, metric))}", sort)
    for name, wanted in (("nfe", nfe), ("method", methods), ("sampler", samplers)):
        known = sorted({row[name] for row in rows})
        for value in wanted or ():
            if value not in known:
                raise InputError(name, f"be among the registered: {', '.join(map(str, known))}", value)
    kept = [
        row
        for row in rows
        if (not nfe or row["nfe"] in nfe)
        and (not methods or row["method"] in methods)
        and (not samplers or row["sampler"] in samplers)
        and (not champions or row["aliases"])
        and (max_primary is None or (row["primary"] is not None and row["primary"] <= max_primary))
        and (min_entropy is None or (row["entropy"] is not None and row["entropy"] >= min_entropy))
    ]
    return kept if sort == "nfe" else sorted(kept, key=lambda row: _place(row, sort))


def _place(row: dict[str, Any], sort: str) -> float:
    value = row_of_version(row).certificate_at_most_nats if sort == "bound" else row[sort]
    if value is None:
        return math.inf
    return -float(value) if sort in DESCENDING else float(value)


def in_words(version: dict[str, Any]) -> str:
    """A version on one line, in the numbers of the table: what `lsd pick` chose."""
    row = row_of_version(version)
    certificate = f", {nats_text(row)} nat from {row.certificate_reference}" if nats_text(row) else ""
    return (
        f"{row.method} ({row.sampler}) at {row.nfe} calls: {row.primary_metric} {short(row.mean)}, "
        f"{row.diversity_metric} {entropy_text(row.entropy)} nat{certificate}"
    )


def samplers_table(backbone: str, rows: Sequence[dict[str, Any]]) -> Table:
    """One row a version; those with an alias in bold. What is to be typed is never cut off."""
    shown = [row_of_version(row) for row in rows]
    references = references_of(shown)
    said = [f"load any of them as models:/{backbone}/VERSION or models:/{backbone}@ALIAS"]
    table = Table(
        title=f"samplers of {backbone}",
        caption="\n".join([*said, *reference_notes(references)]),
        title_justify="left",
        caption_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=0,
    )
    metric = shown[0].primary_metric if shown else "primary"
    for column in ("NFE", "sampler", "method", metric, "entropy", "nats", "ver.", "alias"):
        whole = {"overflow": "fold"} if column == "alias" else {"no_wrap": True}
        left = column in ("sampler", "method", "alias")
        table.add_column(column, justify="left" if left else "right", **whole)
    for row in shown:
        table.add_row(
            str(row.nfe),
            row.sampler,
            row.method,
            "" if math.isnan(row.mean) else short(row.mean),
            "" if math.isnan(row.entropy) else entropy_text(row.entropy),
            certificate_cell(row, references),
            row.version,
            " ".join(row.aliases),
            style="bold" if row.aliases else "",
        )
    return table
