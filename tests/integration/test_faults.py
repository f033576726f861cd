"""What goes wrong on servers, one thing at a time: the run ends truthfully, and the cards equal the calm run's."""

import os
import signal
import time
from pathlib import Path

import pytest

from infra.stack.processes import Process, end, wait_gone
from lsd_core.registry import list_versions
from lsd_core.store import Store
from tests.integration.conftest import Deployed

pytestmark = [pytest.mark.servers, pytest.mark.timeout(900)]

# Where each phase writes: a request held there is a run caught in that phase.
PHASES = {
    "publish backbones": r"/lsd/\S*/backbones/",
    "teacher": r"/lsd/\S*/teachers/",
    "distil": r"/lsd/\S*/table-",
    "measure: selection": r"/lsd/\S*/selection-",
    "measure: report": r"/lsd/\S*/report-",
    "certify": r"/lsd/\S*/certificate-",
    "cards": r"/lsd/\S*/card\.json",
    "register": r"/mlflow/",
    "promote": r"/lsd/\S*/champions/",
}
WAIT_S = 240
ALWAYS = ("distil", "register")  # a phase on Ray and one on the registry; the others take minutes more
soak = pytest.mark.skipif("LSD_SOAK" not in os.environ, reason="minutes more: LSD_SOAK=1 runs it")
INTERRUPTED = "s3://lsd/interrupted"  # where every run but the last is cut off


def results(url: str) -> dict[str, bytes]:
    """Everything published, byte by byte."""
    store = Store(url)
    keys = [key for folder in ("teachers", "cells", "champions") for key in store.list(folder)]
    return {key: store.read_bytes(key) for key in keys}


def unregister() -> None:
    """Empty the registry, so that the next run files its cards anew."""
    from mlflow import MlflowClient

    MlflowClient().delete_registered_model("countdown-exact")


def ray_work(deployed: Deployed) -> list[Process]:
    """Actors at work on any node."""
    leaders = [deployed.stack.keeper.process(name) for name in deployed.stack.names if "ray" in name]
    family = [member for leader in leaders if leader for member in leader.family()]
    return [member for member in family if _title(member).startswith("ray::_Host")]


def flow_processes(deployed: Deployed) -> list[Process]:
    """Processes of flow runs that this stack's worker started."""
    ours = f"LSD_HOME={deployed.stack.env['LSD_HOME']}"
    return [
        p for p in Process.all() if "prefect.engine" in _title(p) and ours in _proc(p, "environ").split("\0")
    ]


def _title(process: Process) -> str:
    return _proc(process, "cmdline")


def _proc(process: Process, file: str) -> str:
    try:
        return (Path("/proc") / str(process.pid) / file).read_text()
    except OSError:
        return ""


@pytest.mark.parametrize(
    "phase", [pytest.param(phase, marks=() if phase in ALWAYS else soak) for phase in PHASES]
)
def test_a_cancel_ends_the_work_at_once_and_leaves_no_task_open(
    deployed: Deployed, calm: str, phase: str
) -> None:
    if phase == "register":
        unregister()
    run = deployed.run(INTERRUPTED)
    with deployed.proxy.holding(PHASES[phase]) as hold:
        assert hold.reached.wait(WAIT_S), run.log()
        cancelled = time.monotonic()
        run.cancel()
        while ray_work(deployed):
            assert time.monotonic() - cancelled < 15
            time.sleep(0.1)
        assert run.wait() == "CANCELLED"
    states = set(run.task_states().values())
    assert states <= {"COMPLETED", "CANCELLED"}
    assert "CANCELLED" in states


@soak
def test_a_rerun_of_what_was_cancelled_in_every_phase_equals_the_calm_run(
    deployed: Deployed, calm: str
) -> None:
    run = deployed.run(INTERRUPTED)
    assert run.wait() == "COMPLETED", run.log()
    assert results(INTERRUPTED) == results(calm)
    assert len(list_versions("countdown-exact")) == 8


@soak
def test_a_registry_that_is_down_for_20_s_is_waited_for(deployed: Deployed, calm: str) -> None:
    unregister()
    url = "s3://lsd/registry-down"
    with deployed.proxy.holding(PHASES["cards"]) as hold:
        run = deployed.run(url)
        assert hold.reached.wait(WAIT_S), run.log()
        deployed.stack.kill("mlflow")
    time.sleep(20)
    deployed.stack.start("mlflow")
    assert run.wait() == "COMPLETED", run.log()
    assert results(url) == results(calm)
    assert len(list_versions("countdown-exact")) == 8


@soak
def test_an_object_store_that_refuses_every_tenth_request_changes_nothing(
    deployed: Deployed, calm: str
) -> None:
    url = "s3://lsd/refusing"
    with deployed.proxy.refusing(0.1):
        run = deployed.run(url)
        assert run.wait() == "COMPLETED", run.log()
        assert deployed.proxy.refused > 10
    assert results(url) == results(calm)


def test_a_ray_node_that_is_lost_for_good_is_done_without(deployed: Deployed, calm: str) -> None:
    url = "s3://lsd/node-lost"
    with deployed.proxy.holding(PHASES["distil"]) as hold:
        run = deployed.run(url)
        assert hold.reached.wait(WAIT_S), run.log()
        deployed.stack.kill("ray-node-1")
    assert run.wait() == "COMPLETED", run.log()
    assert results(url) == results(calm)


@soak
def test_a_worker_that_is_restarted_leaves_a_run_that_says_so_and_a_rerun_completes(
    deployed: Deployed, calm: str
) -> None:
    url = "s3://lsd/worker-restarted"
    with deployed.proxy.holding(PHASES["distil"]) as hold:
        run = deployed.run(url)
        assert hold.reached.wait(WAIT_S), run.log()
        deployed.stack.stop("prefect-worker")
        deployed.stack.start("prefect-worker")
    state = run.wait()
    assert state in ("COMPLETED", "CRASHED", "FAILED", "CANCELLED")
    assert not ray_work(deployed) or state == "COMPLETED"
    if state != "COMPLETED":
        assert set(run.task_states().values()) <= {"COMPLETED", state}
        again = deployed.run(url)
        assert again.wait() == "COMPLETED", again.log()
    assert results(url) == results(calm)


@soak
def test_a_flow_whose_process_is_killed_is_crashed_with_its_tasks_and_a_rerun_completes(
    deployed: Deployed, calm: str
) -> None:
    url = "s3://lsd/flow-killed"
    with deployed.proxy.holding(PHASES["measure: report"]) as hold:
        run = deployed.run(url)
        assert hold.reached.wait(WAIT_S), run.log()
        worker = deployed.stack.keeper.process("prefect-worker")
        assert worker is not None
        flows = {process for process in Process.all() if "prefect.engine" in _title(process)}
        mine = {
            process
            for process in flows
            if _has(process, f"PREFECT_API_URL={deployed.stack.env['PREFECT_API_URL']}")
        }
        end(mine, signal.SIGKILL)
        assert not wait_gone(mine, 10)
    assert run.wait() == "CRASHED"
    assert set(run.task_states().values()) == {"COMPLETED", "CRASHED"}
    assert not ray_work(deployed)
    again = deployed.run(url)
    assert again.wait() == "COMPLETED", again.log()
    assert results(url) == results(calm)
