"""What goes wrong on servers: the run ends truthfully, a rerun completes, and the cards equal the calm run's.

Runs that are interrupted share a store, each going on from what the one before left, so that only the last has to
complete.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from infra.stack.processes import Process, end, wait_gone
from lsd_core.registry import list_versions
from lsd_core.storage.store import Store
from tests.integration.conftest import Deployed
from tests.integration.deployed import FlowRun
from tests.integration.proxy import Hold

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

# Where each phase writes: a request held there is a run caught in that phase.
PHASES = {
    "publish backbones": r"/lsd/\S*/backbones/",
    "teacher": r"/lsd/\S*/teachers/",
    "distil": r"/lsd/\S*/table-1",  # of a second seed: what learns nothing has one table
    "measure: selection": r"/lsd/\S*/selection-",
    "measure: report": r"/lsd/\S*/report-",
    "certify": r"/lsd/\S*/certificate-",
    "cards": r"/lsd/\S*/card\.json",
    "register": r"/mlflow/",
    "promote": r"/lsd/\S*/champions/",
    "report": r"/mlflow/\S*\.html",
}
WAIT_S = 240
CANCELLED, CRASHED = "s3://lsd/cancelled", "s3://lsd/crashed"  # where every run but the last is cut off


def results(url: str) -> dict[str, bytes]:
    """Everything published, byte by byte."""
    store = Store(url)
    keys = [key for folder in ("teachers", "cells", "champions") for key in store.list(folder)]
    return {key: store.read_bytes(key) for key in keys}


def unregister() -> None:
    """Empty the registry, so that the next run files its cards and its report anew."""
    from mlflow import MlflowClient

    client = MlflowClient()
    client.delete_registered_model("countdown-exact")
    experiment = client.get_experiment_by_name("countdown-exact")
    for run in client.search_runs([experiment.experiment_id], "tags.kind = 'report'"):
        client.delete_run(run.info.run_id)


@contextmanager
def caught(deployed: Deployed, url: str, phase: str) -> Iterator[tuple[FlowRun, Hold]]:
    """A run of `tiny` that is held up in a phase for the length of the block."""
    with deployed.proxy.holding(PHASES[phase]) as hold:
        run = deployed.run(url)
        assert hold.reached.wait(WAIT_S), run.log()
        yield run, hold


def grows(run: FlowRun) -> None:
    """See that a run shows a learning curve before the table it leads to is published."""
    deadline = time.monotonic() + 30
    while not [c for c in run.learning() if c.info.status == "RUNNING" and "loss" in c.data.metrics]:
        assert time.monotonic() < deadline, run.log()
        time.sleep(0.2)


def closed(run: FlowRun) -> set[str]:
    """Types of its tasks' states, once none is open: where a process died, they are closed a little after the run."""
    deadline = time.monotonic() + 60
    while {"RUNNING", "PENDING", "SCHEDULED"} & set(run.task_states().values()):
        assert time.monotonic() < deadline, run.task_states()
        time.sleep(0.2)
    deadline = time.monotonic() + 30
    while (open_ones := {curve.info.status for curve in run.learning()}) - {"FINISHED", "KILLED"}:
        assert time.monotonic() < deadline, open_ones
        time.sleep(0.2)
    return set(run.task_states().values())


def completes(run: FlowRun) -> None:
    """See that a run ends Completed with all its tasks."""
    assert run.wait() == "COMPLETED", run.log()
    assert set(run.task_states().values()) == {"COMPLETED"}


def ray_work(deployed: Deployed) -> list[Process]:
    """Actors at work on any node."""
    leaders = [deployed.stack.keeper.process(name) for name in deployed.stack.names if "ray" in name]
    family = [member for leader in leaders if leader for member in leader.family()]
    return [member for member in family if member.command.startswith("ray::_Host")]


def flow_processes(deployed: Deployed) -> list[Process]:
    """Processes of flow runs that this stack's worker started."""
    worker = deployed.stack.keeper.process("prefect-worker")
    assert worker is not None
    return [member for member in worker.family() if "prefect.engine" in member.command]


@pytest.mark.parametrize("phase", PHASES)
def test_a_cancel_ends_the_work_at_once_and_leaves_no_task_open(
    deployed: Deployed, calm: str, phase: str
) -> None:
    if phase == "register":
        unregister()
    with caught(deployed, CANCELLED, phase) as (run, _):
        if phase == "distil":
            grows(run)
        cancelled = time.monotonic()
        run.cancel()
        while ray_work(deployed):
            assert time.monotonic() - cancelled < 15
            time.sleep(0.1)
        assert run.wait() == "CANCELLED"
    assert closed(run) in ({"CANCELLED"}, {"COMPLETED", "CANCELLED"})


def test_a_rerun_of_what_was_cancelled_in_every_phase_equals_the_calm_run(
    deployed: Deployed, calm: str
) -> None:
    completes(deployed.run(CANCELLED))
    assert results(CANCELLED) == results(calm)
    assert len(list_versions("countdown-exact")) == 8


def test_a_worker_that_is_restarted_leaves_a_run_that_says_so(deployed: Deployed, calm: str) -> None:
    with caught(deployed, CRASHED, "distil") as (run, _):
        deployed.stack.stop("prefect-worker")
        deployed.stack.start("prefect-worker")
        assert run.wait() == "CRASHED"
    assert closed(run) == {"COMPLETED", "CRASHED"}
    assert not ray_work(deployed)


def test_a_flow_whose_process_is_killed_is_crashed_with_its_tasks_and_a_rerun_completes(
    deployed: Deployed, calm: str
) -> None:
    with caught(deployed, CRASHED, "measure: report") as (run, _):
        mine = flow_processes(deployed)
        assert mine
        end(mine, signal.SIGKILL)
        assert not wait_gone(mine, 10)
        assert run.wait() == "CRASHED"
    assert closed(run) == {"COMPLETED", "CRASHED"}
    assert not ray_work(deployed)
    completes(deployed.run(CRASHED))
    assert results(CRASHED) == results(calm)


def test_a_registry_that_is_down_for_20_s_mid_run_is_waited_for(deployed: Deployed, calm: str) -> None:
    unregister()
    url = "s3://lsd/registry-down"
    with caught(deployed, url, "cards") as (run, _):
        deployed.stack.kill("mlflow")
        went = time.monotonic()
    while "register" not in run.retrying() or time.monotonic() - went < 20:
        assert run.read()["state"]["type"] == "RUNNING", run.log()
        assert time.monotonic() - went < WAIT_S, run.log()
        time.sleep(0.2)
    deployed.stack.start("mlflow")
    completes(run)
    assert results(url) == results(calm)
    assert len(list_versions("countdown-exact")) == 8


def test_a_refusing_object_store_and_a_ray_node_lost_for_good_are_done_without(
    deployed: Deployed, calm: str
) -> None:
    url = "s3://lsd/refusing"
    with deployed.proxy.refusing(0.1):
        with caught(deployed, url, "distil") as (run, _):
            deployed.stack.kill("ray-node-1")
        completes(run)
        assert deployed.proxy.refused > 10
    assert not deployed.stack.runs("ray-node-1")
    assert results(url) == results(calm)
