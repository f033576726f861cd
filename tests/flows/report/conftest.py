"""A small grid carried out in this process, its registry a real one: something for a report to tell."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytest

from flows.config import GridConfig, parse_grid
from flows.pipeline import driver, register_cards
from flows.pipeline.plan import make_plan
from flows.pipeline.progress import TerminalProgress
from flows.pipeline.run import Run
from flows.report.candidates_on_store import specs_on
from flows.report.page_data import PageData, make_page_data
from flows.report.run_report import Outcome
from flows.settings import Settings
from lsd_core.storage.store import Store
from tests.flows.report.browser import NAMES, Chromium, started
from tests.published.unpacked import unpack_home
from workers import pool

Item = TypeVar("Item")
Result = TypeVar("Result")
GRID = {
    "name": "small",
    "workers": 1,
    "backbones": ["countdown"],
    "nfe": [2, 4],
    "samplers": ["euler", "tweedie", "halton"],
    "methods": ["plain", "cosine", "temperature", "theta_trapezoidal", "lsd", "path_kl"],
    "method_configs": {
        "lsd": {"epochs": 3, "paths_per_epoch": 4, "paths_per_update": 4},
        "path_kl": {"price_sequences": 256, "gain_paths": 8, "candidates": [1.0, 2.0]},
    },
    "teacher": {"trajectories": 16, "shard_rows": 16, "batch": 16},
    "evaluation": {
        "samples": 24,
        "seeds": 2,
        "batch": 24,
        "temperatures": [1.0, 0.8],
        "certificate_paths": 4,
        "one_by_one": 4,
    },
}
SHOWN = {
    "name": "shown",
    "backbones": ["digits-uniform", "text-radd"],
    "samplers": ["tweedie"],
    "methods": ["plain", "path_kl"],
    "teacher": {
        "method": "tweedie",
        "steps": 8,
        "nodes": 8,
        "trajectories": 16,
        "shard_rows": 16,
        "batch": 16,
    },
}


class Inline(Generic[Item, Result]):
    """The workers' own code, called directly."""

    num_workers = 1

    def __init__(self, worker: type, arguments: tuple[Any, ...], **_: object) -> None:
        self.worker = worker(*arguments)

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def map(self, source: pool.Source[Any]) -> Iterator[Any]:
        while not source.closed:
            item = source.take()
            yield pool.Outcome(item=item, result=self.worker.run(item))


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """Debian's Chromium, started once; where servers are required it is installed, or this fails."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and os.environ.get("LSD_REQUIRE_SERVERS") == "1":
        install = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]
        result = subprocess.run(install, capture_output=True, text=True, check=False)
        found = next(filter(None, map(shutil.which, NAMES)), None)
        if found is None:
            pytest.fail(f"Chromium cannot be installed: {result.stderr.strip()[-300:]}")
    if found is None:
        pytest.skip("no Chromium; apt-get install chromium")
    with started(found, tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="session")
def published_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store and a registry that an earlier version left: nothing to compute."""
    return unpack_home(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def published(published_home: Path) -> PageData:
    """What that store tells of its largest backbone."""
    store = Store(str(published_home / "store"))
    return make_page_data(store, specs_on(store, "countdown-exact")[0])


@dataclass(frozen=True)
class Done:
    """A grid that is done."""

    home: Path
    run: Run
    outcome: Outcome

    @property
    def tracking_uri(self) -> str:
        return self.run.settings.tracking_uri


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The small grid, learned, measured, registered and promoted."""
    return carried_out(dict(GRID), tmp_path_factory.mktemp("reported") / "lsd-data")


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Another, of what people look at: pictures and text."""
    return carried_out(dict(GRID) | SHOWN, tmp_path_factory.mktemp("shown") / "lsd-data")


def carried_out(record: dict[str, Any], home: Path) -> Done:
    """A grid from its plan to its aliases, in this process."""
    run = filled(record, home)
    run = replace(run, uris=register_cards.register_cards(run, TerminalProgress(_silent())))
    return Done(home, run, register_cards.promote_champions(run))


def filled(record: dict[str, Any], home: Path) -> Run:
    """A grid from its plan to its cards, in this process."""
    home.mkdir(exist_ok=True)
    settings = Settings(
        home=home,
        store=str(home / "store"),
        tracking_uri=f"sqlite:///{home / 'mlflow.db'}",
        ray_address="local",
        prefect_api_url="embedded",
    )
    config: GridConfig = parse_grid(record)
    progress = TerminalProgress(_silent())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "Pool", Inline)
        patch.setattr(driver, "ray_session", lambda *_, **__: nullcontext())
        asked = driver.Driver(settings=settings, progress=progress, workers=config.workers)
        run = driver.fill_cells(make_plan(config), asked)
    assert not run.failures
    return run


def _silent() -> Any:
    from rich.console import Console

    return Console(quiet=True)
