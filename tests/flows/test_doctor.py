"""The doctor finds what is wrong, names it, and says what to do about it."""

import json
import socket
from pathlib import Path

import pytest

from flows.cli import main
from flows.pipeline import doctor
from flows.settings import resolve


def findings(**places: str) -> dict[str, doctor.Finding]:
    return {found.what: found for found in doctor.examine(resolve(command_line=places))}


@pytest.fixture
def nobody() -> str:
    """A URL of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.slow
def test_an_embedded_installation_is_well(lsd_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--json"])
    record = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0, record
    assert [found["what"] for found in record] == ["packages", "home", "store", "registry", "prefect", "ray"]
    assert all(found["ok"] and not found["remedy"] for found in record)
    assert not list((lsd_home / "store").glob("check-*"))


def test_what_does_not_answer_is_named_with_the_variable_that_sets_it(lsd_home: Path, nobody: str) -> None:
    found = findings(store="/nowhere/at/all", tracking_uri=nobody, prefect_api_url=f"{nobody}/api")
    assert {what for what, one in found.items() if not one.ok} == {"store", "registry", "prefect"}
    assert "make /nowhere/at first" in found["store"].remedy
    assert nobody in found["registry"].words
    assert "MLFLOW_TRACKING_URI" in found["registry"].remedy
    assert "PREFECT_API_URL" in found["prefect"].remedy


def test_a_package_that_breaks_another_is_named(lsd_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_version = doctor.version
    monkeypatch.setattr(
        doctor, "version", lambda name: "0.155.0" if name == "fastapi" else true_version(name)
    )
    found = findings()["packages"]
    assert not found.ok
    assert "fastapi must be" in found.words
    assert "constraints.txt" in found.remedy


def test_a_cluster_that_cannot_be_joined_is_given_up(
    lsd_home: Path, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "RAY_TIMEOUT_S", 1)
    words, remedy = doctor.ray(resolve(command_line={"ray_address": nobody.removeprefix("http://")}))
    assert "1 s" in words
    assert "RAY_ADDRESS" in remedy
