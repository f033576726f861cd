"""The flow deployed on real servers, through Prefect's API: what a team runs."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows.pipeline.doctor import examine
from flows.settings import resolve
from infra.stack.facts import LOOPBACK
from lsd_core.registry import list_versions
from lsd_core.sampler import load_sampler
from lsd_core.storage.store import Store
from tests.integration.conftest import Deployed
from tests.integration.deployed import FlowRun

pytestmark = [pytest.mark.servers, pytest.mark.timeout(600)]


def test_a_deployed_grid_ends_completed_with_shards_in_s3_and_aliases_in_the_registry(
    deployed: Deployed, calm: str
) -> None:
    store = Store(calm)
    assert [key for key in store.list("teachers") if key.endswith("_manifest.json")]
    assert len([key for key in store.list("teachers") if key.endswith(".parquet")]) == 2
    rows = list_versions("countdown-exact")
    assert len(rows) == 8
    assert {alias for row in rows for alias in row["aliases"]} == {"nfe4", "nfe4-euler", "nfe4-tweedie"}
    assert load_sampler("models:/countdown-exact@nfe4").sample(2).shape == (2, 64)


def test_an_operator_finds_plan_leaderboard_links_plots_and_what_the_workers_told(
    deployed: Deployed, calm: str
) -> None:
    run = run_of(deployed, calm)
    found = run.artifacts()
    wanted = {"plan", "leaderboard-countdown-exact", "verdicts", "places", "quality", "tables"}
    assert wanted <= set(found)
    assert f"{deployed.stack.env['MLFLOW_TRACKING_URI']}/#/models/countdown-exact" in found["places"]["data"]
    log = run.log()
    assert "learned countdown-exact nfe4 euler lsd seed 1" in log
    assert "shard 0 of countdown-exact" in log
    for secret in deployed.stack.facts.secrets.values():
        assert secret not in log


def test_the_learning_curves_of_every_seed_are_in_the_registry(deployed: Deployed, calm: str) -> None:
    store, client, curves = Store(calm), MlflowClient(), run_of(deployed, calm).learning()
    tables = [key for key in store.list("cells") if "/table-" in key]
    learned = {key for key in tables if "loss" in store.read_json(key)["history"]}
    assert {curve.data.tags["table"] for curve in curves} == learned
    assert len(curves) == 2
    for curve in curves:
        assert curve.info.status == "FINISHED"
        losses = [point.value for point in client.get_metric_history(curve.info.run_id, "loss")]
        history = store.read_json(curve.data.tags["table"])["history"]
        assert losses == pytest.approx(history["loss"], rel=1e-5)


def test_trajectories_alone_are_a_deployment_and_a_later_grid_finds_them(
    deployed: Deployed, calm: str
) -> None:
    url = "s3://lsd/taught"
    run = deployed.run(url, deployment="teacher/teacher")
    assert run.wait() == "COMPLETED", run.log()
    assert run.read()["name"] == "teacher tiny"
    assert "2 shards made, 0 reused" in run.read()["state"]["message"]
    made, expected = Store(url), Store(calm)
    assert {key: made.read_bytes(key) for key in made.list("teachers")} == {
        key: expected.read_bytes(key) for key in expected.list("teachers")
    }
    assert not made.list("cells")


def test_the_doctor_finds_the_stack_well_and_names_what_stopped(
    deployed: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in deployed.stack.env.items():
        if name.startswith(("RAY_", "PREFECT_API")):
            monkeypatch.setenv(name, value)
    settings = resolve(command_line={"home": deployed.stack.env["LSD_HOME"]})
    findings = {found.what: found for found in examine(settings)}
    assert all(found.ok for found in findings.values()), findings
    assert "2 of them reach the store" in findings["ray"].words
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "lsd:guessed")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "guessed")
    wrong = {found.what: found for found in examine(replace(settings, ray_address="local"))}
    assert {what for what, found in wrong.items() if not found.ok} == {"registry", "prefect"}
    assert "MLFLOW_TRACKING_PASSWORD" in wrong["registry"].remedy
    assert "PREFECT_API_AUTH_STRING" in wrong["prefect"].remedy


def test_servers_listen_on_loopback_alone_and_credentials_are_private(deployed: Deployed) -> None:
    home = deployed.stack.home
    for name in ("facts.json", "stack.env"):
        assert (home / name).stat().st_mode & 0o077 == 0
    for name in ("mlflow", "prefect", "s3"):
        with socket.socket() as probe:
            probe.settimeout(2)
            assert probe.connect_ex((LOOPBACK, deployed.stack.facts.ports[name])) == 0
    # Ray's own port is open on every address, whatever it is told; its token guards it.
    ours = {int(port) for name, port in deployed.stack.facts.ports.items() if name != "ray"}
    assert ours & {port for _, port in listening()}
    assert not {port for address, port in listening() if port in ours and not address.startswith("127.")}


def run_of(deployed: Deployed, store: str) -> FlowRun:
    """The run of grid `tiny` that wrote this store."""
    runs = deployed.api.post("/flow_runs/filter", {"flow_runs": {"name": {"any_": ["tiny"]}}})
    found = next(run["id"] for run in runs if run["parameters"]["config"]["store"] == store)
    return FlowRun(deployed.api, found)


def listening() -> set[tuple[str, int]]:
    """Addresses and ports of this machine on which somebody listens."""
    found = set()
    for file in ("tcp", "tcp6"):
        for line in (Path("/proc/net") / file).read_text().splitlines()[1:]:
            local, state = line.split()[1], line.split()[3]
            if state == "0A":
                address, port = local.split(":")
                shown = socket.inet_ntoa(bytes.fromhex(address)[::-1]) if len(address) == 8 else address
                found.add((shown, int(port, 16)))
    return found
