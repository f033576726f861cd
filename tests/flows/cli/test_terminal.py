"""Text of registries and stores cannot steer a terminal or become a formula of a spreadsheet."""

import io
from typing import Any

import pytest

from flows.cli.shared import complaints, console
from flows.report.csv_columns import write_csv
from flows.report.samplers_table import in_words, samplers_table
from tests.flows.report.test_samplers_table import ROW

STEERING = "\x1b]0;title\x07\x1b[2J\x9b31m\r\u202ex"
MARKUP = "[bold red]x[/] :smile:"


@pytest.mark.parametrize("printer", [console, complaints])
@pytest.mark.parametrize("what", ["line", "table", "words"])
def test_what_is_printed_moves_no_cursor(printer: Any, what: str) -> None:
    row = ROW | {
        "primary_metric": f"nll{STEERING}",
        "certificate": {"value_nats": "1", "reference": f"{MARKUP}{STEERING}"},
    }
    content = {
        "line": f"removed teachers/{MARKUP}{STEERING}\nnext",
        "table": samplers_table("net", [row]),
        "words": in_words(row),
    }[what]
    with printer.capture() as captured:
        printer.print(content, width=400)
    text = captured.get()
    words = " ".join(text.split())  # a caption is folded
    assert not set(STEERING[:-1]) & set("\x1b\x07\x9b\r\u202e") & set(text)
    assert MARKUP in words
    assert "\\x1b]0;title\\x07" in words
    assert what != "line" or text.endswith("\nnext\n")


def test_text_of_a_csv_file_is_no_formula() -> None:
    file = io.StringIO()
    write_csv([{"=cmd|x": "@SUM(A1)", "loss": -0.5, "b": "+1", "c": "-x", "d": None}, {"e": "a=b"}], file)
    assert file.getvalue() == "'=cmd|x,loss,b,c,d,e\n'@SUM(A1),-0.5,'+1,'-x,,\n,,,,,a=b\n"
