"""`lsd doctor`: try everything that a run needs, and give a remedy for what does not work."""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from flows.settings import CREDENTIALS, EMBEDDED, LOCAL_RAY, Settings
from lsd_core.errors import InputError
from lsd_core.storage.store import Store

POOL, DEPLOYMENT = "lsd-pool", "lsd/distill-grid"
RAY_TIMEOUT_S = 90
LEAST_DISK_BYTES = 2 * 2**30
PENDING_S = 600.0  # after which a run that a worker took but never began counts as forgotten


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was tried."""

    what: str
    where: str
    ok: bool
    words: str
    remedy: str = ""


def examine(settings: Settings) -> Iterator[Finding]:
    """Try everything, one finding at a time, the quick ones first."""
    for what, where, look in (
        ("packages", "this Python", packages),
        ("home", str(settings.home), home),
        ("store", settings.store, store),
        ("registry", settings.tracking_uri, registry),
        ("prefect", settings.prefect_api_url, prefect),
        ("ray", settings.ray_address, ray),
    ):
        begin = time.monotonic()
        words, remedy = _tried(look, settings)
        took = f" ({time.monotonic() - begin:.1f} s)"
        yield Finding(what=what, where=where, ok=not remedy, words=words + took, remedy=remedy)


Look = Callable[[Settings], tuple[str, str]]
"""What was found, and what to do about it: nothing, where all is well."""


def _tried(look: Look, settings: Settings) -> tuple[str, str]:
    try:
        return look(settings)
    except InputError as error:
        shown = error.value if isinstance(error.value, str) else repr(error.value)
        return f"must {error.rule}, got {shown}", error.remedy or "see docs/running.md"


def packages(settings: Settings) -> tuple[str, str]:
    """Whether what is installed fits what the project asks for."""
    from packaging.requirements import Requirement

    wrong = []
    for text in requires("lsd-samplers") or []:
        asked = Requirement(text)
        if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(asked.name)
        except PackageNotFoundError:
            wrong.append(f"{asked.name} is missing")
            continue
        if not asked.specifier.contains(found, prereleases=True):
            wrong.append(f"{asked.name} must be {asked.specifier}, got {found}")
    if wrong:
        return "; ".join(wrong), "pip install -e . -c constraints.txt"
    tools = ", ".join(f"{name} {version(name)}" for name in ("torch", "ray", "prefect", "mlflow"))
    return f"Python {platform.python_version()}, {tools}", ""


def home(settings: Settings) -> tuple[str, str]:
    """Whether the home folder can be written and has room."""
    settings.apply()
    probe = settings.home / ".doctor"
    try:
        probe.write_text("written by lsd doctor; safe to delete")
        probe.unlink()
    except OSError as error:
        return str(error), "make it writable, or set LSD_HOME"
    free = shutil.disk_usage(settings.home).free
    room = f"{free / 2**30:.0f} GiB free"
    return room, "" if free >= LEAST_DISK_BYTES else "free some room, or set LSD_HOME to another disk"


def store(settings: Settings) -> tuple[str, str]:
    """Whether what is written can be read back and deleted."""
    Store(settings.store).check()
    return "written, read back, deleted", ""


def registry(settings: Settings) -> tuple[str, str]:
    """Whether MLflow answers, knows us, and is of our release."""
    from lsd_core import registry as ours

    ours.check(settings.tracking_uri)
    if not settings.tracking_uri.startswith("http"):
        return "opened", ""
    import httpx

    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD"))
    try:
        asked = httpx.get(f"{settings.tracking_uri.rstrip('/')}/version", auth=(user, password), timeout=10)
        theirs = asked.raise_for_status().text.strip().strip('"')
    except httpx.HTTPError:
        return "answers; its version is not known", ""
    if theirs.split(".")[0] != version("mlflow").split(".")[0]:
        return f"the server is MLflow {theirs}", f"install MLflow {theirs} here, or {version('mlflow')} there"
    return f"MLflow {theirs} answers", ""


def prefect(settings: Settings) -> tuple[str, str]:
    """Whether the API answers, knows us, and has a worker and our deployment."""
    if settings.prefect_api_url == EMBEDDED:
        return "a temporary API in each run's process", ""
    import httpx
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.exceptions import ObjectNotFound

    start = f"start the server, or set PREFECT_API_URL; it may ask for {CREDENTIALS['prefect_api_url']}"
    login, key = (os.environ.get(f"PREFECT_API_{name}") for name in ("AUTH_STRING", "KEY"))
    with SyncPrefectClient(settings.prefect_api_url, auth_string=login, api_key=key) as client:
        try:
            theirs = client.api_version()
            pools = {pool.name: pool for pool in client.read_work_pools()}
        except httpx.HTTPStatusError as error:
            return f"answers {error.response.status_code}", f"set {CREDENTIALS['prefect_api_url']}"
        except httpx.HTTPError as error:
            return f"{type(error).__name__}: {error}", start
        if POOL not in pools:
            return (
                f"Prefect {theirs} answers; no work pool {POOL}",
                f"prefect work-pool create {POOL} --type process",
            )
        if str(getattr(pools[POOL].status, "value", "")) != "READY":
            return f"no worker serves {POOL}", f"prefect worker start --pool {POOL}"
        try:
            deployment = client.read_deployment_by_name(DEPLOYMENT)
        except ObjectNotFound:
            return f"{DEPLOYMENT} is not deployed", "LSD_ROOT=$PWD prefect deploy --all"
        if forgotten := _forgotten(client, deployment.id):
            words = f"run {forgotten} has been Pending for {PENDING_S / 60:g} minutes: its worker died, and others wait"
            return words, f"prefect flow-run delete {forgotten}"
    return f"Prefect {theirs} answers, a worker serves {POOL}, {DEPLOYMENT} is deployed", ""


def _forgotten(client: Any, deployment: Any) -> str:
    """The id of a run that a worker took and, having died, never began: it holds the deployment's only place."""
    from prefect.client.schemas import filters
    from prefect.client.schemas.objects import StateType

    pending = filters.FlowRunFilterState(type=filters.FlowRunFilterStateType(any_=[StateType.PENDING]))
    runs = client.read_flow_runs(
        flow_run_filter=filters.FlowRunFilter(state=pending),
        deployment_filter=filters.DeploymentFilter(id=filters.DeploymentFilterId(any_=[deployment])),
    )
    since = datetime.now(UTC) - timedelta(seconds=PENDING_S)
    return next((str(run.id) for run in runs if run.state.timestamp < since), "")


def ray(settings: Settings) -> tuple[str, str]:
    """Whether the cluster can be joined, and each node has our versions and reaches the store."""
    if settings.ray_address == LOCAL_RAY:
        return "a private Ray in each run's process", ""
    join = f"see that it runs and set RAY_ADDRESS and {CREDENTIALS['ray_address']}; ray health-check --address ..."
    command = [sys.executable, "-m", "workers.probe", settings.ray_address, settings.store]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=RAY_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        return f"cannot be joined within {RAY_TIMEOUT_S} s", join
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        return said[-1].strip() if said else f"the probe ended with {done.returncode}", join
    found = json.loads(done.stdout.splitlines()[-1])
    words = f"{found['nodes']} nodes, {found['cpus']:g} cores, {found['gpus']:g} GPUs"
    for node in found["looks"]:
        if node["problem"]:
            remedy = "give the nodes the store's credentials in their environment: none travels with a run"
            return f"{words}; on {node['host']} the store {node['problem']}", remedy
        here = platform.python_version().rpartition(".")[0]
        if node["python"].rpartition(".")[0] != here:
            return f"{words}; {node['host']} has Python {node['python']}", f"use Python {here} on the nodes"
    silent = found["nodes"] - len(found["looks"])
    seen = f"{len(found['looks'])} of them reach the store" + (
        f", {silent} had no free core" if silent else ""
    )
    return f"{words}; {seen}", ""
