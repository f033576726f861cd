"""On a real Prefect server: a Pending run that holds its deployment's only place is named, and its remedy frees it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.responses import SetStateStatus
from prefect.states import Pending

from flows.pipeline import doctor
from flows.settings import resolve

pytestmark = pytest.mark.slow


@pytest.fixture
def client(prefect_api: None) -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


def test_a_forgotten_run_is_named_and_its_remedy_gives_the_place_to_the_next(
    client: SyncPrefectClient, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.create_work_pool(WorkPoolCreate(name=doctor.POOL, type="process"))
    client.send_worker_heartbeat(doctor.POOL, "a-worker", heartbeat_interval_seconds=60)
    flow = client.create_flow_from_name("lsd")
    deployment = client.create_deployment(flow, "distill-grid", concurrency_limit=1)
    first, second = (client.create_flow_run_from_deployment(deployment).id for _ in range(2))
    assert begun(client, first)
    assert not begun(client, second)
    where = resolve(command_line={"prefect_api_url": prefect_server})
    assert doctor.prefect(where)[1] == ""  # for some minutes it may still begin
    monkeypatch.setattr(doctor, "PENDING_S", 0.0)
    words, remedy = doctor.prefect(where)
    assert str(first) in words
    command = [sys.executable, "-m", *remedy.split()]
    environment = {**os.environ, "PREFECT_API_URL": prefect_server}
    done = subprocess.run(command, env=environment, input="y\n", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert begun(client, second)


def begun(client: SyncPrefectClient, run: UUID) -> bool:
    """Whether the server lets a worker take this run."""
    return client.set_flow_run_state(run, Pending()).status == SetStateStatus.ACCEPT
