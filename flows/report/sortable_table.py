"""Tables of a page that sort and filter by style sheet alone: radio buttons and check boxes, no script.

A row carries its rank in each column and the values of its facets; the rule of a button that is on gives its column's
ranks to the rows as their order, the rule of a box that is off hides the rows of its value. A browser that does not
know `:has` and subgrids shows the rows as they come and no controls.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from markupsafe import Markup

FACETS = ("calls", "method", "base sampler")


@dataclass(frozen=True)
class Cell:
    """What is shown, and by what it is sorted; what was not measured comes last."""

    text: str
    key: float | str | None = None
    colour: str = ""
    """Class of the key before the text."""


@dataclass(frozen=True)
class Line:
    """One row of a table."""

    cells: tuple[Cell, ...]
    facets: tuple[str, ...]
    """Its values of FACETS."""
    holds: bool = False
    """Whether it stands out, as one that holds an alias does."""


@dataclass(frozen=True)
class SortableTable:
    """Columns, lines, and by which columns they may be sorted; they come sorted by the first of these."""

    name: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]
    sort_by: tuple[int, ...]

    def style(self, line: Line) -> Markup:
        """The ranks of a line: `--s0:3;--s2:0`."""
        ranks = (f"--s{k}:{ranks[line.cells[k].key]}" for k, ranks in self._ranks.items())
        return Markup(";".join(ranks))

    @cached_property
    def _ranks(self) -> dict[int, dict[float | str | None, int]]:
        """Of each column to sort by: the rank of every key in it."""
        return {k: _ranks({line.cells[k].key for line in self.lines}) for k in self.sort_by}


def _ranks(keys: set[float | str | None]) -> dict[float | str | None, int]:
    ordered = sorted(keys - {None}, key=lambda key: (isinstance(key, str), key))
    return {key: rank for rank, key in enumerate([*ordered, None])}


def facet_values(tables: Sequence[SortableTable]) -> list[list[str]]:
    """The values of each facet, in the order in which they come."""
    lines = [line for table in tables for line in table.lines]
    return [list(dict.fromkeys(line.facets[k] for line in lines)) for k in range(len(FACETS))]


def rules(tables: Sequence[SortableTable]) -> str:
    """The style sheet of the controls."""
    columns = sorted({column for table in tables for column in table.sort_by})
    sort = [f".sortable:has(.by{k}:checked) tbody tr{{order:var(--s{k})}}" for k in columns]
    boxes = [(k, j) for k, values in enumerate(facet_values(tables)) for j in range(len(values))]
    hide = [f"body:has(.v{k}-{j}:not(:checked)) .f{k}-{j}{{display:none}}" for k, j in boxes]
    return "\n".join(
        ["@supports selector(:has(*)) and (grid-template-columns:subgrid){", *sort, *hide, "}", ""]
    )
