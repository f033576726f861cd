"""Classes by which the check boxes of a page hide marks, legends and figures of what is switched off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flows.report.sortable_table import Line
from flows.report.table_rows import Row


@dataclass(frozen=True)
class Filtered:
    """Classes of the style sheet for what figures show."""

    marks: dict[str, str]
    """By label: those of its colour and its facets."""
    facets: dict[str, str]
    """By label: those of the method and of the base sampler that all its rows have."""
    budgets: dict[int, str]
    """By NFE."""


def filtered(
    css: Mapping[str, str], rows: Sequence[Row], lines: Sequence[Line], values: Sequence[Sequence[str]]
) -> Filtered:
    """From rows with the lines of a table that shows each of them, and the values of the facets."""
    shared: dict[str, list[str]] = {}
    budgets: dict[int, str] = {}
    for row, line in zip(rows, lines, strict=True):
        budget, *others = (f"f{k}-{values[k].index(value)}" for k, value in enumerate(line.facets))
        budgets[row.nfe] = budget
        shared[row.label] = [name for name in shared.get(row.label, others) if name in others]
    facets = {label: " ".join(shared.get(label, ())) for label in css}
    return Filtered({label: f"{css[label]} {facets[label]}".strip() for label in css}, facets, budgets)
