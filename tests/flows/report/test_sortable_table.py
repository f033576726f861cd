"""Tables that sort and filter without a script: ranks, and rules for every value."""

from flows.report.sortable_table import Cell, Line, SortableTable, facet_values, rules


def line(nfe: int, method: str, error: float | None) -> Line:
    return Line(
        (Cell(str(nfe), nfe), Cell(method, method), Cell("", error)), (f"{nfe} calls", method, "euler")
    )


LINES = (line(4, "plain", 0.3), line(4, "lsd", 0.1), line(8, "lsd", None), line(8, "cosine", 0.1))
TABLE = SortableTable("numbers", ("NFE", "method", "error"), LINES, (0, 2))


def ranks(column: int) -> list[int]:
    styles = [dict(part.split(":") for part in TABLE.style(each).split(";")) for each in LINES]
    return [int(style[f"--s{column}"]) for style in styles]


def test_a_row_carries_its_rank_and_what_was_not_measured_comes_last() -> None:
    assert ranks(0) == [0, 0, 1, 1]
    assert ranks(2) == [1, 0, 2, 0]
    assert "--s1" not in TABLE.style(LINES[0])


def test_every_value_of_a_facet_and_every_column_has_its_rule() -> None:
    assert facet_values([TABLE]) == [["4 calls", "8 calls"], ["plain", "lsd", "cosine"], ["euler"]]
    sheet = rules([TABLE])
    for k, count in enumerate((2, 3, 1)):
        for j in range(count):
            assert f"body:has(.v{k}-{j}:not(:checked)) .f{k}-{j}{{display:none}}" in sheet
    assert sheet.count("order:var(") == 2
