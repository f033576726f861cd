"""Tools that know pyfunc alone draw the same samples from code and JSON, and refuse a changed card."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from pathlib import Path

import mlflow
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from lsd_core import registry
from lsd_core.backbones.publish import publish
from lsd_core.sampler import load_sampler
from lsd_core.storage.store import Store


@pytest.fixture
def store(tmp_path: Path, tiny_backbone, monkeypatch) -> str:
    """A store with the tiny backbone's weights; this test's cache is empty."""
    monkeypatch.setenv("LSD_CACHE", str(tmp_path / "cache"))
    found = Store(str(tmp_path / "store"))
    publish(tiny_backbone, found)
    return found.url


@pytest.fixture
def fluent(uri, monkeypatch) -> str:
    """The registry as mlflow's own functions find it."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", uri)
    return uri


def model_folder(uri: str, name: str) -> Path:
    return Path(mlflow.artifacts.download_artifacts(f"models:/{name}/1", tracking_uri=uri))


def test_pyfunc_draws_the_same_samples(fluent, make, store):
    found = registry.register(make(), tracking_uri=fluent, store_url=store)
    registry.promote(make.name, "nfe2", 1, tracking_uri=fluent)
    model = mlflow.pyfunc.load_model(f"models:/{make.name}@nfe2")
    drawn = model.predict(pd.DataFrame([{"num_samples": 3, "seed": 0}, {"num_samples": 2, "seed": 7}]))
    sampler = load_sampler(found, tracking_uri=fluent)
    assert drawn.tolist() == sampler.sample(3, seed=0).tolist() + sampler.sample(2, seed=7).tolist()
    assert model.predict(pd.DataFrame([{"num_samples": 3}])).tolist() == drawn[:3].tolist()


def test_nothing_at_rest_is_pickled_and_no_machine_is_named(fluent, make, store):
    registry.register(make(), tracking_uri=fluent, store_url=store)
    folder = model_folder(fluent, make.name)
    assert {path.name for path in folder.rglob("*") if path.is_file()} - {"registered_model_meta"} == {
        "MLmodel",
        "card.json",
        "conda.yaml",
        "input_example.json",
        "pyfunc_sampler.py",
        "python_env.yaml",
        "requirements.txt",
        "serving_input_example.json",
    }
    flavour = yaml.safe_load((folder / "MLmodel").read_text())["flavors"]["python_function"]
    assert flavour["artifacts"] == {"card": {"path": "card.json", "uri": "card.json"}}
    assert flavour["model_code_path"] == "pyfunc_sampler.py"
    assert "python_model" not in flavour  # where a pickle would be named
    assert (folder / "card.json").read_text() == make().to_json()


def test_filing_is_silent_and_shows_what_a_request_looks_like(fluent, make, store):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        registry.register(make(), tracking_uri=fluent, store_url=store)
        model = mlflow.pyfunc.load_model(f"models:/{make.name}/1")
    asked = json.loads((model_folder(fluent, make.name) / "serving_input_example.json").read_text())
    assert asked == {"dataframe_split": {"columns": ["num_samples", "seed"], "data": [[2, 0]]}}
    assert len(model.predict(model.input_example)) == 2


def test_a_changed_card_is_refused_by_name_here_too(fluent, make, store, tmp_path):
    registry.register(make(), tracking_uri=fluent, store_url=store)
    client = MlflowClient(fluent, fluent)
    [model] = client.search_logged_models([client.get_experiment_by_name(make.name).experiment_id])
    (tmp_path / "card.json").write_text(make(error=0.001).to_json())
    client.log_model_artifacts(model.model_id, str(tmp_path))
    with pytest.raises(Exception, match=f"card of {make.name} nfe2 euler lsd must have the sha256"):
        mlflow.pyfunc.load_model(f"models:/{make.name}/1")


@pytest.mark.servers
def test_mlflow_models_serve_answers_a_request(served_registry, make, store, tmp_path):
    found = registry.register(make(), tracking_uri=served_registry, store_url=store)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", found]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    env = os.environ | dict.fromkeys(("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"), served_registry)
    env |= {"PYTHONPATH": str(Path(__file__).parents[3])}
    env |= {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    with open(tmp_path / "log.txt", "wb") as log:
        server = subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=log, stderr=log, start_new_session=True
        )
        try:
            answer = _ask(f"http://127.0.0.1:{port}", server, tmp_path / "log.txt")
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, 15)
            server.wait(120)
    expected = load_sampler(found, tracking_uri=served_registry).sample(2, seed=3)
    assert answer == {"predictions": expected.tolist()}


def _ask(url: str, server: subprocess.Popen, log: Path) -> object:
    body = json.dumps({"dataframe_records": [{"num_samples": 2, "seed": 3}]}).encode()
    headers = {"Content-Type": "application/json"}
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and server.poll() is None:
        try:
            request = urllib.request.Request(f"{url}/invocations", body, headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"no answer: {log.read_text()}")
