"""The table of registered samplers: what is to be typed is whole, on a terminal of 80 columns too."""

import io

from rich.console import Console

from flows.report.samplers_table import samplers_table


def test_nothing_that_is_to_be_typed_is_cut_off() -> None:
    aliases = ["nfe16", "nfe16-halton"]
    row = {
        "nfe": 16,
        "sampler": "halton",
        "method": "path_kl_schedule",
        "primary_metric": "judge_nll",
        "primary": 3.4375,
        "entropy": 3.081,
        "certificate": {"value_nats": 103.2},
        "version": 123,
        "aliases": aliases,
    }
    screen = Console(file=io.StringIO(), width=80)
    screen.print(samplers_table("countdown-256-radd", [row]))
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    for word in ("path_kl_schedule", "halton", "123", *aliases):
        assert word in text.split()
    assert "models:/countdown-256-radd/VERSION" in text
