"""What goes wrong on servers: the run ends truthfully, a rerun completes, and the cards equal the calm run's.

Runs that are interrupted share a store, each going on from what the one before left, so that only the last has to
complete.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from infra.stack.processes import Process, end, wait_gone
from lsd_core.registry import list_versions
from lsd_core.storage.store import Store
from tests.integration.conftest import Deployed
from tests.integration.deployed import FlowRun

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
INTERRUPTED = "s3://lsd/interrupted"  # where every run but the last is cut off


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
def caught(deployed: Deployed, url: str, phase: str) -> Iterator[FlowRun]:
    """A run of `tiny` that is held up in a phase for the length of the block."""
    with deployed.proxy.holding(PHASES[phase]) as hold:
        run = deployed.run(url)
        assert hold.reached.wait(WAIT_S), run.log()
        yield run


@contextmanager
def held(deployed: Deployed, run: FlowRun, phase: str) -> Iterator[None]:
    """The same, of a run that is under way in an earlier phase."""
    with deployed.proxy.holding(PHASES[phase]) as hold:
        assert hold.reached.wait(WAIT_S), run.log()
        yield


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


def cancelled(deployed: Deployed, run: FlowRun) -> None:
    """Cancel a run: its work on every node ends at once."""
    began = time.monotonic()
    run.cancel()
    while ray_work(deployed):
        assert time.monotonic() - began < 15
        time.sleep(0.1)
    assert run.wait() == "CANCELLED"


def worker_restarted(deployed: Deployed, run: FlowRun) -> None:
    """Restart the worker that carries a run."""
    deployed.stack.stop("prefect-worker")
    deployed.stack.start("prefect-worker")
    assert run.wait() == "CRASHED"


def process_killed(deployed: Deployed, run: FlowRun) -> None:
    """Kill the process of a run."""
    mine = flow_processes(deployed)
    assert mine
    end(mine, signal.SIGKILL)
    assert not wait_gone(mine, 10)
    assert run.wait() == "CRASHED"


# In the order of the phases: each run goes on from what the one before left.
INTERRUPTIONS = [(phase, cancelled) for phase in PHASES]
INTERRUPTIONS.insert(INTERRUPTIONS.index(("distil", cancelled)), ("distil", worker_restarted))
INTERRUPTIONS.insert(INTERRUPTIONS.index(("measure: report", cancelled)), ("measure: report", process_killed))


@pytest.mark.parametrize(("phase", "interrupted"), INTERRUPTIONS)
def test_an_interrupted_run_says_how_it_ended_and_leaves_no_work_and_no_task_open(
    deployed: Deployed, calm: str, phase: str, interrupted: Callable[[Deployed, FlowRun], None]
) -> None:
    if phase == "register":
        unregister()
    with caught(deployed, INTERRUPTED, phase) as run:
        if phase == "distil":
            grows(run)
        interrupted(deployed, run)
    if interrupted is cancelled:
        assert closed(run) in ({"CANCELLED"}, {"COMPLETED", "CANCELLED"})
    else:
        assert closed(run) == {"COMPLETED", "CRASHED"}
        assert not ray_work(deployed)


def test_a_rerun_of_what_was_interrupted_in_every_phase_equals_the_calm_run(
    deployed: Deployed, calm: str
) -> None:
    completes(deployed.run(INTERRUPTED))
    assert results(INTERRUPTED) == results(calm)
    assert len(list_versions("countdown-exact")) == 8


def test_a_refusing_object_store_a_lost_ray_node_and_a_registry_down_for_20_s_are_got_over(
    deployed: Deployed, calm: str
) -> None:
    unregister()
    url = "s3://lsd/disturbed"
    with deployed.proxy.refusing(0.1):
        with caught(deployed, url, "distil") as run:
            deployed.stack.kill("ray-node-1")
        with held(deployed, run, "cards"):
            deployed.stack.kill("mlflow")
            went = time.monotonic()
        while "register" not in run.retrying() or time.monotonic() - went < 20:
            assert run.read()["state"]["type"] == "RUNNING", run.log()
            assert time.monotonic() - went < WAIT_S, run.log()
            time.sleep(0.2)
        deployed.stack.start("mlflow")
        completes(run)
        assert deployed.proxy.refused > 10
    assert not deployed.stack.runs("ray-node-1")
    assert results(url) == results(calm)
    assert len(list_versions("countdown-exact")) == 8
