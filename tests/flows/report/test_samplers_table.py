"""The table of registered samplers: what is to be typed is whole, on a terminal of 80 columns too."""

import io
from typing import Any

from rich.console import Console

from flows.report.samplers_table import samplers_table, selected

ROW: dict[str, Any] = {
    "backbone": "countdown-256-radd",
    "uri": "models:/countdown-256-radd/123",
    "nfe": 16,
    "sampler": "halton",
    "method": "path_kl_schedule",
    "primary_metric": "judge_nll",
    "primary": 3.4375,
    "entropy": 3.081,
    "certificate": {"value_nats": 103.2},
    "version": 123,
    "aliases": ["nfe16", "nfe16-halton"],
}


def printed(rows: list[dict[str, Any]]) -> str:
    file = io.StringIO()
    Console(file=file, width=80).print(samplers_table("countdown-256-radd", rows))
    return file.getvalue()


def test_nothing_that_is_to_be_typed_is_cut_off() -> None:
    text = printed([ROW])
    for word in ("path_kl_schedule", "halton", "123", *ROW["aliases"]):
        assert word in text.split()
    assert "models:/countdown-256-radd/VERSION" in text


def test_certificates_have_their_errors_and_name_their_references_where_these_differ() -> None:
    one = ROW | {"certificate": {"value_nats": "103.2", "standard_error": "0.41", "reference": "the network"}}
    other = ROW | {
        "certificate": {"value_nats": "99.9", "standard_error": "2.2", "reference": "its own order"}
    }
    alone, mixed = printed([one]), printed([one, other])
    assert "103.2±0.4 " in alone
    assert "nats: certificate_value_nats ± standard error, from the network" in " ".join(alone.split())
    assert "103.2±0.4 a" in mixed
    assert "100±2 b" in mixed
    assert "nats b: certificate_value_nats ± standard error, from its own order" in " ".join(mixed.split())
    for word in ("path_kl_schedule", "halton", "123", *ROW["aliases"]):
        assert word in mixed.split()


def test_the_sort_by_bound_is_by_what_is_proved() -> None:
    noisy = ROW | {"certificate": {"value_nats": "1.0", "standard_error": "5.0"}, "version": 1}
    sharp = ROW | {"certificate": {"value_nats": "2.0", "standard_error": "0.1"}, "version": 2}
    none = ROW | {"certificate": {}, "version": 3}
    assert [row["version"] for row in selected([none, noisy, sharp], sort="bound")] == [2, 1, 3]
