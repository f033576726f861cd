"""The registry against MLflow itself: sqlite in this process, and a real server on the loopback."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from lsd_core import registry
from lsd_core.errors import InputError


@pytest.fixture(scope="session")
def sqlite_registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database in a folder whose name has a space."""
    return f"sqlite:///{tmp_path_factory.mktemp('a registry') / 'mlflow.db'}"


@pytest.fixture(scope="session")
def served_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`mlflow server` over sqlite, artifacts through the server; stopped with its children at the end."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    env = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    url = f"http://127.0.0.1:{port}"
    with open(folder / "log.txt", "wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait_for(f"{url}/health", server, folder / "log.txt")
            yield url
        finally:
            os.killpg(server.pid, 15)
            server.wait(20)


def _wait_for(url: str, server: subprocess.Popen, log: Path) -> None:
    for _ in range(600):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"no MLflow server at {url}: {log.read_text()}")


@pytest.fixture(params=["sqlite", pytest.param("server", marks=pytest.mark.servers)])
def uri(request: pytest.FixtureRequest) -> str:
    """Each registry in turn."""
    return request.getfixturevalue({"sqlite": "sqlite_registry", "server": "served_registry"}[request.param])


@pytest.fixture
def make(request, make_card, tiny_backbone):
    """Cards for a backbone named after the test, so that tests share a registry and nothing in it."""
    name = request.node.originalname.replace("_", "-")

    def named(fingerprint: str = tiny_backbone.fingerprint, **changes):
        backbone = {"name": name, "fingerprint": fingerprint, "family": "markov"}
        return make_card(backbone=backbone, **changes)

    named.name = name
    return named


def at_nfe(nfe: int) -> dict:
    """Fields of a card with another budget."""
    table = {"times": [1 - k / nfe for k in range(nfe + 1)], "gains": [1.0] * nfe, "gain_on": "log_score"}
    return {"nfe": nfe, "steps": nfe, "calls": {"mean": nfe, "max": nfe}, "table": table}


def aliases(name: str, uri: str) -> dict:
    found = MlflowClient(uri, uri).get_registered_model(name).aliases
    return {alias: int(version) for alias, version in found.items()}  # strings from a server


# --- filing and finding


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


# --- aliases


def test_champions_move_and_can_be_rolled_back_exactly(uri, make):
    card = make()
    fingerprint, name = card.backbone.fingerprint, make.name
    for error in (0.25, 0.2, 0.15):
        registry.register(make(error=error), tracking_uri=uri)
    assert registry.set_champions(name, fingerprint, {"nfe2": 1, "nfe2-euler": 1}, tracking_uri=uri) == {
        "nfe2": None,
        "nfe2-euler": None,
    }
    assert registry.set_champions(name, fingerprint, {"nfe2": 1}, tracking_uri=uri) == {}  # again: no move
    assert registry.set_champions(name, fingerprint, {"nfe2": 2}, tracking_uri=uri) == {"nfe2": 1}
    assert registry.promote(name, "nfe2", 3, tracking_uri=uri) == 2
    assert aliases(name, uri) == {"nfe2": 3, "nfe2-euler": 1}
    assert registry.resolve(f"models:/{name}@nfe2", tracking_uri=uri).card.primary.mean == 0.15
    assert registry.rollback(name, "nfe2", tracking_uri=uri) == 2
    assert registry.rollback(name, "nfe2", tracking_uri=uri) == 1
    with pytest.raises(
        InputError, match=r"alias nfe2 of .* must have had an earlier holder, got version 1 only"
    ):
        registry.rollback(name, "nfe2", tracking_uri=uri)
    assert registry.resolve(f"models:/{name}@nfe2", tracking_uri=uri).uri == f"models:/{name}/1"


def test_a_move_cut_short_loses_no_name(sqlite_registry, make, monkeypatch):
    name, uri = make.name, sqlite_registry
    for error in (0.25, 0.2, 0.15):
        registry.register(make(error=error), tracking_uri=uri)
    registry.promote(name, "nfe2", 1, tracking_uri=uri)
    registry.promote(name, "nfe2", 2, tracking_uri=uri)

    def fail(*args, **kwargs):
        raise RuntimeError("killed")

    for cut in (lambda: registry.promote(name, "nfe2", 3, tracking_uri=uri),) * 2:
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "set_registered_model_alias", fail)
            with pytest.raises(RuntimeError, match="killed"):
                cut()
    assert registry.resolve(f"models:/{name}@nfe2", tracking_uri=uri).uri.endswith("/2")
    assert registry.rollback(name, "nfe2", tracking_uri=uri) == 1


def test_aliases_move_only_within_the_current_fingerprint(sqlite_registry, make):
    uri = sqlite_registry
    name = make.name
    registry.register(make("old"), tracking_uri=uri)
    registry.register(make("new"), tracking_uri=uri)
    registry.set_champions(name, "old", {"nfe2": 1}, tracking_uri=uri)
    with pytest.raises(InputError, match=r"fingerprint of version 2 of .* must be old, got new"):
        registry.promote(name, "nfe2", 2, tracking_uri=uri)
    with pytest.raises(InputError, match="must be new, got old"):
        registry.set_champions(name, "new", {"nfe2": 2, "nfe2-euler": 1}, tracking_uri=uri)
    assert aliases(name, uri) == {"nfe2": 1}  # none moved
    registry.set_champions(name, "new", {"nfe2": 2}, tracking_uri=uri)
    with pytest.raises(InputError, match=r"fingerprint of version 1 of .* must be new, got old"):
        registry.rollback(name, "nfe2", tracking_uri=uri)


@pytest.mark.parametrize(
    ("alias", "version", "message"),
    [
        ("nfe4", 1, "version 1 of {} must have nfe 4 to hold nfe4, got 2"),
        ("nfe2-tweedie", 1, "version 1 of {} must have sampler tweedie to hold nfe2-tweedie, got euler"),
        ("best", 1, "alias must be nfe<N> or nfe<N>-<sampler>, such as nfe8 or nfe8-euler, got best"),
        ("nfe2", 7, "version of {} must be one of 1, got 7"),
        ("nfe2", "one", "version of {} must be one of 1, got one"),
    ],
)
def test_an_alias_means_what_it_says(sqlite_registry, make, alias, version, message):
    registry.register(make(), tracking_uri=sqlite_registry)
    with pytest.raises(InputError) as caught:
        registry.promote(make.name, alias, version, tracking_uri=sqlite_registry)
    assert message.format(make.name) in str(caught.value)
    assert aliases(make.name, sqlite_registry) == {}


# --- picking


def test_pick_takes_the_best_champion_within_the_budget(uri, make):
    name = make.name
    cold = make(error=0.01, entropy=0.3, method="temperature")
    for card in (
        make(error=0.25),
        cold,
        make(error=0.125, **at_nfe(4)),
        make(error=0.1, entropy=1.0, **at_nfe(4)),
    ):
        registry.register(card, tracking_uri=uri)
    registry.set_champions(name, cold.backbone.fingerprint, {"nfe2": 1, "nfe4": 3}, tracking_uri=uri)
    pick = lambda **limits: registry.pick(name, tracking_uri=uri, **limits)["version"]  # noqa: E731
    assert pick(max_nfe=16) == 3
    assert pick(max_nfe=3) == 1  # the cold one has less error, and no alias
    assert pick(max_nfe=4, min_entropy=0.9) == 4
    assert pick(max_nfe=4, min_entropy=0.0) == 2
    with pytest.raises(
        InputError, match="max_nfe must leave a champion within the budget, got 1; there are: 2, 4"
    ):
        pick(max_nfe=1)
    with pytest.raises(InputError, match=r"entropy is at least 1.5 nat, got 4; there are: none"):
        pick(max_nfe=4, min_entropy=1.5)


def test_pick_passes_by_what_was_made_for_other_weights(sqlite_registry, make):
    for card in (make("old", error=0.01), make("new", error=0.25)):
        registry.register(card, tracking_uri=sqlite_registry)
    pick = {"max_nfe": 8, "min_entropy": 0.0, "tracking_uri": sqlite_registry}
    registry.set_champions(make.name, "old", {}, tracking_uri=sqlite_registry)
    assert registry.pick(make.name, **pick)["version"] == 1
    registry.set_champions(make.name, "new", {"nfe2": 2}, tracking_uri=sqlite_registry)
    assert registry.pick(make.name, **pick)["version"] == 2


# --- what is refused


def test_a_tampered_card_is_refused_by_name(uri, make, tmp_path):
    found = registry.register(make(), tracking_uri=uri)
    client = MlflowClient(uri, uri)
    [model] = client.search_logged_models([client.get_experiment_by_name(make.name).experiment_id])
    (tmp_path / "card.json").write_text(make(error=0.001).to_json())
    client.log_model_artifacts(model.model_id, str(tmp_path))
    with pytest.raises(InputError) as caught:
        registry.resolve(found, tracking_uri=uri)
    message = str(caught.value)
    assert message.startswith(f"card of {found} must have the sha256 it was registered with, {make().sha256}")
    assert make(error=0.001).sha256 in message


def test_a_lost_card_is_refused_by_name(sqlite_registry, make):
    found = registry.register(make(), tracking_uri=sqlite_registry)
    location = MlflowClient(sqlite_registry).get_model_version_download_uri(make.name, "1")
    Path(urllib.request.url2pathname(location.removeprefix("file://")), "card.json").unlink()
    with pytest.raises(InputError, match=f"card of {found} must be readable"):
        registry.resolve(found, tracking_uri=sqlite_registry)


def test_what_is_unknown_lists_what_is_known(sqlite_registry, make):
    uri = sqlite_registry
    name = make.name
    card = make()
    registry.register(card, tracking_uri=uri)
    registry.set_champions(name, card.backbone.fingerprint, {"nfe2": 1}, tracking_uri=uri)
    for call in (
        lambda: registry.list_versions("nobody", tracking_uri=uri),
        lambda: registry.resolve("models:/nobody@nfe8", tracking_uri=uri),
        lambda: registry.rollback("nobody", "nfe8", tracking_uri=uri),
        lambda: registry.promote("nobody", "nfe8", 1, tracking_uri=uri),
        lambda: registry.pick("nobody", max_nfe=8, tracking_uri=uri),
    ):
        with pytest.raises(
            InputError, match=f"backbone must be one of the registered: .*{name}.*, got nobody"
        ):
            call()
    with pytest.raises(InputError, match=f"alias of {name} must be one of nfe2, got nfe8"):
        registry.resolve(f"models:/{name}@nfe8", tracking_uri=uri)
    with pytest.raises(InputError, match=f"alias of {name} must be one of nfe2, got nfe8"):
        registry.rollback(name, "nfe8", tracking_uri=uri)
    with pytest.raises(InputError, match=f"version of {name} must be one of 1, got 2"):
        registry.resolve(f"models:/{name}/2", tracking_uri=uri)


@pytest.mark.parametrize(
    "uri", ["models:/countdown", "models:/countdown@", "models:/a/b/c", "models:countdown/1"]
)
def test_other_uris_are_refused_before_anything_is_asked(uri):
    with pytest.raises(InputError, match="uri must be models:/NAME@ALIAS or models:/NAME/VERSION"):
        registry.resolve(uri, tracking_uri="http://127.0.0.1:1")


def test_a_server_that_is_not_there_is_named_quickly(make):
    start = time.monotonic()
    with pytest.raises(InputError) as caught:
        registry.register(make(), tracking_uri="http://somebody:secret@127.0.0.1:9")
    assert time.monotonic() - start < 5
    message = str(caught.value)
    assert message.startswith("tracking server must answer, got ")
    assert "127.0.0.1:9" in message
    assert "LSD_TRACKING_URI or MLFLOW_TRACKING_URI" in message
    assert "secret" not in message


def test_a_file_that_is_no_database_is_named(tmp_path):
    file = tmp_path / "mlflow.db"
    file.write_text("not a database, " * 100)
    with pytest.raises(InputError, match=f"tracking server must answer, got .*{file}"):
        registry.list_versions("countdown", tracking_uri=f"sqlite:///{file}")


def test_checking_makes_the_embedded_registry(lsd_home):
    registry.check()
    with pytest.raises(
        InputError, match="backbone must be one of the registered: none so far, got countdown"
    ):
        registry.list_versions("countdown")
    with pytest.raises(InputError, match="tracking server must answer"):
        registry.check("http://127.0.0.1:9")


def test_looking_makes_no_registry(lsd_home):
    with pytest.raises(
        InputError, match=f"registry must exist, got {lsd_home / 'mlflow.db'}; run `lsd grid` first"
    ):
        registry.list_versions("countdown")
    assert not lsd_home.exists()


def test_artifacts_lie_beside_the_database(sqlite_registry, make):
    registry.register(make(), tracking_uri=sqlite_registry)
    folder = Path(sqlite_registry.removeprefix("sqlite:///")).parent
    cards = [path.read_text() for path in (folder / "mlartifacts" / make.name).rglob("card.json")]
    assert cards == [make().to_json()] * 2  # on the model and on the run
