"""On a Prefect server: a task run for every cell, red with its reason where one failed, green for the others."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import TaskRun
from prefect.states import State

from flows.config import GridConfig, parse_grid
from flows.distill_grid import lsd
from flows.pipeline.plan import Plan, make_plan
from lsd_core.candidates.results import Results
from lsd_core.registry import list_versions
from lsd_core.storage.store import Store

pytestmark = [pytest.mark.usefixtures("local_ray", "prefect_api"), pytest.mark.timeout(600)]

CELLS = {f"countdown-exact nfe{nfe} euler" for nfe in (2, 4)}
STEPS = {"check places", "publish backbones", "register", "promote", "report"}


def grid(name: str, store: Path) -> GridConfig:
    return parse_grid(
        {
            "name": name,
            "backbones": ["countdown-exact"],
            "nfe": [2, 4],
            "samplers": ["euler"],
            "methods": ["plain", "cosine", "temperature"],
            "evaluation": {
                "samples": 16,
                "seeds": 1,
                "batch": 16,
                "temperatures": [1.0, 0.8],
                "certificate_paths": 2,
            },
            "store": str(store),
            "workers": 2,
        }
    )


def damage(plan: Plan, method: str, nfe: int) -> None:
    """Leave something on the store where a worker writes a table."""
    (spec,) = [s for s in plan.candidates if (s.method, s.nfe) == (method, nfe)]
    (Path(str(plan.config.store)) / Results(Store("nowhere"), spec).table_key(0) / "in the way").mkdir(
        parents=True
    )


def carried_out(config: GridConfig) -> tuple[State[Any], dict[str, TaskRun]]:
    """The flow's final state and its task runs by name, as the server tells them."""
    state: State[Any] = lsd(config, return_state=True)

    async def read() -> list[TaskRun]:
        async with get_client() as client:
            named = FlowRunFilter(name=FlowRunFilterName(any_=[config.name]))
            for _ in range(200):  # task runs reach the server as events, a little after the flow has ended
                runs = await client.read_task_runs(flow_run_filter=named)
                if len(runs) == len(CELLS | STEPS) and all(r.state and r.state.is_final() for r in runs):
                    break
                await asyncio.sleep(0.1)
            return runs

    return state, {run.name: run for run in asyncio.run(read())}


def test_a_fault_in_one_cell_is_one_red_task_run_with_its_reason(lsd_home: Path) -> None:
    lsd_home.mkdir()
    config = grid("one-fault", lsd_home / "store")
    damage(make_plan(config), "cosine", 4)
    state, runs = carried_out(config)
    assert set(runs) == CELLS | STEPS
    assert {name for name, run in runs.items() if run.state_name == "Failed"} == {
        "countdown-exact nfe4 euler"
    }
    assert {run.state_name for name, run in runs.items() if "nfe4" not in name} == {"Completed"}
    failed = runs["countdown-exact nfe4 euler"].state
    assert failed is not None
    assert "countdown-exact nfe4 euler cosine: InputError:" in str(failed.message)
    assert "table-0.json" in str(failed.message)
    assert "Is a directory" in str(failed.message)
    assert state.name == "Failed"
    assert "1 of 6 candidates failed" in str(state.message)
    rows = list_versions("countdown-exact", tracking_uri=f"sqlite:///{lsd_home / 'mlflow.db'}")
    assert {(row["nfe"], row["method"]) for row in rows} == {
        (2, "plain"), (2, "cosine"), (2, "temperature"), (4, "plain"), (4, "temperature"),
    }  # fmt: skip
    aliases = {alias for row in rows for alias in row["aliases"]}
    assert aliases == {"nfe2", "nfe2-euler"}  # those of 4 calls are not decided without one of their controls


def test_a_plain_sampler_that_fails_takes_what_follows_from_it_and_nothing_else(lsd_home: Path) -> None:
    lsd_home.mkdir()
    config = grid("plain-fault", lsd_home / "store")
    damage(make_plan(config), "plain", 4)
    state, runs = carried_out(config)
    assert {name for name, run in runs.items() if run.state_name == "Failed"} == {
        "countdown-exact nfe4 euler"
    }
    assert "2 of 6 candidates failed" in str(state.message)
    assert "nfe4 euler temperature: its plain sampler failed: InputError" in str(state.message)
    rows = list_versions("countdown-exact", tracking_uri=f"sqlite:///{lsd_home / 'mlflow.db'}")
    assert {(row["nfe"], row["method"]) for row in rows} == {
        (2, "plain"), (2, "cosine"), (2, "temperature"), (4, "cosine"),
    }  # fmt: skip
    assert {alias for row in rows for alias in row["aliases"]} == {"nfe2", "nfe2-euler"}


def test_where_every_cell_fails_the_reasons_are_told(lsd_home: Path) -> None:
    lsd_home.mkdir()
    config = grid("all-fault", lsd_home / "store")
    for method in ("plain", "cosine"):
        for nfe in (2, 4):
            damage(make_plan(config), method, nfe)
    state, runs = carried_out(config)
    assert {name for name, run in runs.items() if run.state_name == "Failed"} == CELLS
    assert "6 of 6 candidates failed" in str(state.message)
    assert str(state.message).count("Is a directory") == 6
