"""Metrics over network calls are logged once, renewed when a version joins, and of the current weights alone."""

from mlflow import MlflowClient

from lsd_core import registry
from lsd_core.registry.model_page import OVER_NFE, model_page
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
