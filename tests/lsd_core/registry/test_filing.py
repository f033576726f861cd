"""Cards are filed once, found again as they were, and searched by their numbers."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from mlflow import MlflowClient

from lsd_core import registry
from lsd_core.registry import writing
from lsd_core.registry.card_fields import describe
from tests.lsd_core.registry.helpers import at_nfe


def test_a_card_comes_back_as_it_was_filed(uri, make, tmp_path, monkeypatch):
    card = make(certificate={"reverse": {"nats": 1.5, "stderr": 0.1}})
    found = registry.register(card, tracking_uri=uri, store_url="s3://bucket/lsd")
    assert found == f"models:/{make.name}/1"
    monkeypatch.chdir(tmp_path)  # from any folder
    resolved = registry.resolve(found, tracking_uri=uri)
    assert resolved.card == card
    assert (resolved.uri, resolved.store_url) == (found, "s3://bucket/lsd")


def test_the_same_card_keeps_its_version(sqlite_registry, make):
    uri = sqlite_registry
    first = registry.register(make(), tracking_uri=uri)
    other = registry.register(make(error=0.26), tracking_uri=uri)
    assert registry.register(make(), tracking_uri=uri) == first != other
    assert len(registry.list_versions(make.name, tracking_uri=uri)) == 2
    client = MlflowClient(uri, uri)
    experiment = client.get_experiment_by_name(make.name).experiment_id
    assert len(client.search_runs([experiment])) == 2 * (1 + 3)  # nothing is logged twice either


def test_a_card_filed_by_several_at_once_is_filed_once(uri, make, monkeypatch):
    """All of them look before any has filed it."""
    together, card = 3, make()
    looked, looks, look = Barrier(together), threading.local(), writing.versions_of

    def look_together(*arguments):
        found = look(*arguments)
        if not hasattr(looks, "first"):
            looks.first = looked.wait(60)
        return found

    monkeypatch.setattr(writing, "versions_of", look_together)
    with ThreadPoolExecutor(together) as pool:
        filed = list(pool.map(lambda _: registry.register(card, tracking_uri=uri), range(together)))
    [row] = registry.list_versions(make.name, tracking_uri=uri)
    assert set(filed) == {row["uri"]}
    assert registry.resolve(row["uri"], tracking_uri=uri).card == card
    client = MlflowClient(uri, uri)
    experiment = client.get_experiment_by_name(make.name).experiment_id
    assert len(client.search_runs([experiment])) == 1 + 3  # one candidate with its seeds
    [model] = client.search_logged_models([experiment])
    assert model.tags["uri"] == row["uri"]


def test_the_list_tells_all_without_a_download(uri, make):
    card = make(certificate={"reverse": {"nats": 1.5}})
    registry.register(card, tracking_uri=uri, store_url="/data/store")
    registry.register(make(error=0.125, method="plain", **at_nfe(4)), tracking_uri=uri)
    registry.register(make(error=float("nan"), sampler="tweedie"), tracking_uri=uri)
    registry.set_champions(
        make.name, card.backbone.fingerprint, {"nfe2": 1, "nfe2-euler": 1}, tracking_uri=uri
    )
    rows = registry.list_versions(make.name, tracking_uri=uri)
    assert [(row["nfe"], row["sampler"], row["method"], row["primary"]) for row in rows] == [
        (2, "euler", "lsd", 0.25),
        (2, "tweedie", "lsd", None),
        (4, "euler", "plain", 0.125),
    ]
    assert [row["aliases"] for row in rows] == [["nfe2", "nfe2-euler"], [], []]
    assert rows[0] == {
        "uri": f"models:/{make.name}/1",
        "backbone": make.name,
        "version": 1,
        "nfe": 2,
        "sampler": "euler",
        "method": "lsd",
        "gain_on": "log_score",
        "steps_in": "times",
        "primary_metric": "error",
        "diversity_metric": "unigram_entropy",
        "seed": 1,
        "primary": 0.25,
        "entropy": 1.2,
        "aliases": ["nfe2", "nfe2-euler"],
        "certificate": {"reverse_nats": "1.5"},
        "fingerprint": card.backbone.fingerprint,
        "card_sha256": card.sha256,
        "store": "/data/store",
        "given": None,
    }
    json.dumps(rows)


def test_models_are_found_by_their_metrics(uri, make):
    for error in (0.05, 0.25, float("nan"), float("inf")):
        registry.register(make(error=error), tracking_uri=uri)
    client = MlflowClient(uri, uri)
    experiment = client.get_experiment_by_name(make.name).experiment_id
    [model] = client.search_logged_models([experiment], "metrics.error < 0.1")
    assert model.tags["uri"] == f"models:/{make.name}/1"
    assert model.params["sampler"] == "euler"


def test_a_candidate_is_a_run_and_its_seeds_are_child_runs(uri, make, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("nfe,error\n")
    losses = {2: {"loss": [3.0, float("nan"), 1.0]}}
    found = registry.register(make(), tracking_uri=uri, histories=losses, files=[table])
    client = MlflowClient(uri, uri)
    parent = client.get_run(client.get_model_version(make.name, found.rsplit("/")[-1]).run_id)
    assert parent.info.run_name == f"{make.name} nfe2 euler lsd"
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["error"] == 0.25
    assert parent.data.metrics["error_high"] == 0.3
    assert parent.data.metrics["selection/error"] == 0.26
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {"card.json", "table.csv"}
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = client.search_runs([parent.info.experiment_id], query)
    by_seed = {child.data.tags["seed"]: child for child in children}
    assert {seed: child.data.metrics["error"] for seed, child in by_seed.items()} == {
        "0": 0.2,
        "1": 0.25,
        "2": 0.3,
    }
    assert [by_seed[seed].data.tags["shipped"] for seed in "012"] == ["false", "true", "false"]
    history = client.get_metric_history(by_seed["2"].info.run_id, "loss")
    assert [(point.step, point.value) for point in history] == [(0, 3.0), (2, 1.0)]


def test_the_version_reads_as_a_page(sqlite_registry, make):
    uri = sqlite_registry
    found = registry.register(make(certificate={"reverse_nats": 1.5}), tracking_uri=uri)
    page = MlflowClient(uri, uri).get_model_version(make.name, "1").description
    for part in (
        f'load_sampler("{found}")',
        "at most **2 network calls**",
        "| error | 0.25 (0.2 to 0.3) | 0.26 |",
        "| 2 | 0.5 to 0 | 1.5 |",
        "- reverse_nats: 1.5",
        "ships seed 1, the median one",
    ):
        assert part in page


@pytest.mark.parametrize(("error", "said"), [(0.25, "at most 2 nat"), (None, None)])
def test_the_page_says_what_the_certificate_proves(make, error, said):
    text = describe(make(certificate={"value_nats": 1.5, "standard_error": error}), "models:/b/1")
    assert "- value_nats: 1.5" in text
    assert (said is not None and said in text) or ("proved" not in text and said is None)


def test_a_registration_cut_short_leaves_no_version(sqlite_registry, make, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "log_model_artifacts", fail)
        with pytest.raises(RuntimeError, match="disk is full"):
            registry.register(make(), tracking_uri=sqlite_registry)
    assert registry.list_versions(make.name, tracking_uri=sqlite_registry) == []
    client = MlflowClient(sqlite_registry, sqlite_registry)
    experiment = client.get_experiment_by_name(make.name).experiment_id
    assert "FAILED" in {run.info.status for run in client.search_runs([experiment])}
    assert registry.register(make(), tracking_uri=sqlite_registry).endswith("/1")
