"""Which rows a picture shows, where a line for each of them would hide the others; pages and tables show all."""

import math
from collections.abc import Sequence

from flows.grouping import grouped
from flows.report.figures import FLOOR
from flows.report.table_rows import REFERENCES, TEACHER, Row
from lsd_core.samplers import SAMPLERS
from lsd_core.samplers.catalog import chooses_by_draw

MOST_LINES = 16


def leading(rows: Sequence[Row]) -> list[Row]:
    """Of each method of a backbone the rows of its best line and of what holds a budget's alias, and of the references
    the teacher; all rows where no more than MOST_LINES lines are drawn.

    The best has the least mean logarithm of the error, among those of most budgets; what chooses by the drawn token
    comes last, as it buys its error with entropy.
    """
    lines = grouped([row for row in rows if row.method not in REFERENCES], lambda row: row.label)
    if len(lines) <= MOST_LINES:
        return list(rows)
    methods = grouped(lines, lambda label: lines[label][0].method)
    best = {min(labels, key=lambda label: _place(lines[label])) for labels in methods.values()}
    best |= {row.label for row in rows if f"nfe{row.nfe}" in row.aliases}
    return [row for row in rows if row.label in best or row.method == TEACHER]


def _place(line: Sequence[Row]) -> tuple[bool, int, float]:
    name = line[0].sampler
    by_draw = name in SAMPLERS and chooses_by_draw(SAMPLERS[name])
    logs = [math.inf if math.isnan(row.mean) else math.log(max(row.mean, FLOOR)) for row in line]
    return by_draw, -len(logs), sum(logs) / len(logs)
