"""Metrics over network calls are logged once, renewed when a version joins, and of the current weights alone."""

import pytest
from mlflow import MlflowClient

from lsd_core import registry
from lsd_core.registry.model_page import OVER_NFE, about_experiment, model_page
from lsd_core.registry.over_nfe import lines_of
from tests.lsd_core.registry.helpers import at_nfe

OTHER = "b" * 64


def lines(uri: str, name: str) -> dict[str, tuple[str, dict[str, list[tuple[int, float]]]]]:
    """Title -> (id of the run, points of each metric)."""
    client = MlflowClient(uri, uri)
    experiment = client.get_experiment_by_name(name).experiment_id
    runs = client.search_runs([experiment], f"tags.kind = '{OVER_NFE}'")
    return {
        run.info.run_name: (
            run.info.run_id,
            {
                metric: [
                    (point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric)
                ]
                for metric in run.data.metrics
            },
        )
        for run in runs
    }


@pytest.mark.slow
def test_lines_are_logged_once_and_renewed_by_a_new_version(sqlite_registry, make):
    uri, card = sqlite_registry, make(certificate={"value_nats": 1.5, "standard_error": 0.5})
    fingerprint = card.backbone.fingerprint
    registry.register(card, tracking_uri=uri)
    registry.register(make(error=0.5, method="plain"), tracking_uri=uri)
    registry.register(make(fingerprint=OTHER, error=0.01), tracking_uri=uri)
    registry.set_champions(make.name, fingerprint, {"nfe2": 1}, tracking_uri=uri)
    first = lines(uri, make.name)
    assert {title: values["error"] for title, (_, values) in first.items()} == {
        "euler lsd": [(2, 0.25)],
        "euler plain": [(2, 0.5)],
    }
    assert first["euler lsd"][1]["certificate_value_nats"] == [(2, 1.5)]
    registry.set_champions(make.name, fingerprint, {"nfe2": 1}, tracking_uri=uri)
    assert lines(uri, make.name) == first

    registry.register(make(error=0.125, **at_nfe(4)), tracking_uri=uri)
    registry.set_champions(make.name, fingerprint, {"nfe2": 1}, tracking_uri=uri)
    second = lines(uri, make.name)
    assert second["euler plain"] == first["euler plain"]
    assert second["euler lsd"][0] != first["euler lsd"][0]
    assert second["euler lsd"][1]["error"] == [(2, 0.25), (4, 0.125)]


def test_a_model_without_aliases_has_no_table():
    page = model_page("tiny", "", [], "7")
    assert "|" not in page
    assert "load_sampler" not in page
    assert "#/experiments/7/runs" in page


def test_a_name_that_markdown_would_read_stays_a_link():
    text = about_experiment("net (2) [x]")["mlflow.note.content"]
    assert r"[net (2) \[x\]](#/models/net%20%282%29%20%5Bx%5D)" in text


def test_a_budget_that_nobody_has_is_no_place_of_a_line():
    row = {
        "version": 1,
        "fingerprint": OTHER,
        "given": None,
        "primary": 0.5,
        "sampler": "euler",
        "method": "lsd",
    }
    row |= {"primary_metric": "error", "diversity_metric": "entropy", "entropy": 1.0, "certificate": {}}
    rows = [row | {"nfe": nfe} for nfe in (-1, 0, 8, 10**9)]
    assert lines_of(rows, OTHER) == {"euler lsd": {8: {"error": 0.5, "entropy": 1.0}}}
