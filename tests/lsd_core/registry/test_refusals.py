"""What is tampered with, lost, unknown or unreachable is refused by name."""

import os
import time
import urllib.request
from pathlib import Path

import boto3
import pytest
from mlflow import MlflowClient
from mlflow.store.artifact import s3_artifact_repo

from lsd_core import registry
from lsd_core.errors import InputError


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
    location = MlflowClient(sqlite_registry, sqlite_registry).get_model_version_download_uri(make.name, "1")
    Path(urllib.request.url2pathname(location.removeprefix("file://")), "card.json").unlink()
    with pytest.raises(InputError, match=f"card of {found} must be readable"):
        registry.resolve(found, tracking_uri=sqlite_registry)


@pytest.fixture
def without_credentials(monkeypatch):
    """Clients of S3 that know no credentials, those that an earlier test left in this process included."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "MLFLOW_S3_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    s3_artifact_repo._cached_get_s3_client.cache_clear()
    yield
    s3_artifact_repo._cached_get_s3_client.cache_clear()


@pytest.mark.usefixtures("without_credentials")
@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("s3://bucket/models", "NoCredentialsError at s3://bucket/models: Unable to locate credentials"),
        ("wasbs://key@box.blob.core.windows.net/x", r"ModuleNotFoundError at wasbs://\*\*\*@box"),
        ("b2://x/y", "Exception at b2://x/y: Unable to parse region"),
        ("nonsense://x", "MlflowException at nonsense://x"),
        ("dbfs:/x", "MlflowException at dbfs:/x;"),
        ("", "MlflowException at ;"),
    ],
)
def test_artifacts_in_a_place_that_cannot_be_read_are_one_line(
    location, shown, sqlite_registry, make, monkeypatch
):
    found = registry.register(make(), tracking_uri=sqlite_registry)
    monkeypatch.setattr(MlflowClient, "get_model_version_download_uri", lambda *_: location)
    with pytest.raises(
        InputError, match=f"card of {found} must be readable, got {shown}.*set the credentials"
    ):
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


@pytest.mark.slow
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
