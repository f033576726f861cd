"""What is damaged or missing among a grid's published files is named, and made again with the same bytes."""

import errno
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from flows.config import parse_grid
from flows.pipeline import driver, retries
from flows.pipeline.champions import champions_key, read_champions, remember_champions
from flows.pipeline.plan import make_plan
from flows.pipeline.progress import LogProgress
from flows.settings import Settings
from lsd_core.candidates.verify import check_cells, damaged_cells
from lsd_core.errors import InputError, Unreachable
from lsd_core.storage.store import Store
from tests.flows.report.conftest import Inline
from workers import pool

GRID = {
    "name": "mended",
    "workers": 1,
    "backbones": ["countdown-exact"],
    "nfe": [2],
    "samplers": ["euler", "tweedie"],
    "methods": ["plain", "temperature", "lsd"],
    "method_configs": {"lsd": {"epochs": 1, "paths_per_epoch": 2, "paths_per_update": 2}},
    "teacher": {"trajectories": 4, "shard_rows": 4, "batch": 4, "method": "euler", "steps": 8},
    "evaluation": {
        "samples": 4,
        "seeds": 2,
        "batch": 4,
        "temperatures": [1.0, 0.8],
        "certificate_paths": 2,
    },
}
HINTS = ("rates/", "measured/")  # times of this machine, and who drew samples first
KINDS = {
    "card": r"cells/\w+/card\.json",
    "table": r"cells/\w+/table-1\.json",
    "selection": r"cells/\w+/selection-0-T1\.json",
    "report": r"cells/\w+/report-1-T1\.json",
    "scores": r"cells/\w+/report-0-T1\.parquet",
    "across": r"cells/\w+/report-0-T1-across\.parquet",
    "certificate": r"cells/\w+/certificate-\d\.json",
    "teacher": r"cells/teacher-.*countdown\.json",
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Places in which the grid has been carried out."""
    home = tmp_path_factory.mktemp("mended")
    places = Settings(
        home=home,
        store=str(home / "store"),
        tracking_uri=f"sqlite:///{home / 'mlflow.db'}",
        ray_address="local",
        prefect_api_url="embedded",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(driver, "Pool", Careful)
        patch.setattr(driver, "ray_session", lambda *_, **__: nullcontext())
        grid(places)
        yield places


def grid(settings: Settings) -> None:
    """The grid's cells as `lsd grid` fills them, in this process."""
    assert not driver.fill_cells(make_plan(parse_grid(dict(GRID))), a_driver(settings)).failures


def a_driver(settings: Settings) -> driver.Driver:
    return driver.Driver(settings=settings, progress=LogProgress(lambda text: None), workers=1)


class Careful(Inline[Any, Any]):
    """The workers' own code, called directly, whose errors are failures of the job."""

    def map(self, source: pool.Source[Any]) -> Iterator[Any]:
        while not source.closed:
            item = source.take()
            if item is None:  # all that was missing needed no job
                continue
            try:
                yield pool.Outcome(item=item, result=self.worker.run(item))
            except InputError as error:
                failure = pool.Failure(kind=type(error).__name__, message=str(error), details="")
                yield pool.Outcome(item=item, failure=failure)


def contents(store: Store) -> dict[str, bytes]:
    return {key: store.read_bytes(key) for key in store.list() if not key.startswith(HINTS)}


def flipped(data: bytes, at: float = 0.5) -> bytes:
    """The data with another digit, letter or byte in the middle, none that JSON's syntax needs."""
    found = next(
        (m.start() for m in re.finditer(rb"\d", data) if m.start() >= at * len(data)), len(data) // 2
    )
    new = b"%d" % ((data[found] - 47) % 10) if chr(data[found]).isdigit() else bytes([data[found] ^ 1])
    return data[:found] + new + data[found + 1 :]


DAMAGES = {"digit": flipped, "half": lambda data: data[: len(data) // 2], "empty": lambda data: b""}


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_named_and_mended_with_the_same_bytes(settings: Settings, kind: str) -> None:
    store = Store(settings.store)
    calm = contents(store)
    assert damaged_cells(store) == {}
    assert not check_cells(store).unsealed
    keys = [key for key in calm if re.fullmatch(KINDS[kind], key)]
    assert keys
    for damage, spoil in DAMAGES.items():
        if damage == "digit" and keys[0].endswith(".parquet"):
            continue  # see tests of the columns: most of so small a file is about itself
        store.write_bytes(keys[0], spoil(calm[keys[0]]))
        named = damaged_cells(Store(settings.store))
        assert keys[0] in named, (damage, named)
        assert len(named[keys[0]].splitlines()) == 1
    for key in keys:
        store.write_bytes(key, calm[key][:-9])
    grid(settings)
    assert contents(store) == calm


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"across"}))  # which not all are asked for
def test_what_is_missing_is_made_again(settings: Settings, kind: str) -> None:
    store = Store(settings.store)
    calm = contents(store)
    for key in [key for key in calm if re.fullmatch(KINDS[kind], key)]:
        store.delete(key)
    grid(settings)
    assert contents(store) == calm


@pytest.mark.parametrize("method", ["list", "read_bytes"])
def test_a_store_that_is_away_while_it_is_looked_through_is_asked_again(
    settings: Settings, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, real, said = itertools.count(), getattr(Store, method), list[str]()

    def away(store: Store, *key: str) -> Any:
        if next(asked) in (0, 3):
            raise Unreachable("store", "be reachable", store.url)
        return real(store, *key)

    plan, filling = make_plan(parse_grid(dict(GRID))), a_driver(settings)
    filling = replace(filling, progress=LogProgress(said.append))
    monkeypatch.setattr(retries, "DELAYS_S", (0, 0))
    monkeypatch.setattr(Store, method, away)
    run = driver.fill_cells(plan, filling)
    assert len(run.cards) == len(plan.candidates)
    assert any("tried again in 0 s: Unreachable: store must be reachable" in line for line in said)


def test_a_damaged_record_of_champions_is_named_and_replaced_by_what_else_is_known(tmp_path: Path) -> None:
    store, key = Store(str(tmp_path / "store")), champions_key("net", "0" * 64)
    held, more = {"nfe2": "2" * 64}, {"nfe4": "4" * 64}
    remember_champions(store, "net", "0" * 64, held)
    whole = store.read_bytes(key)
    for spoil in DAMAGES.values():
        store.write_bytes(key, spoil(whole))
        with pytest.raises(
            InputError, match=r"champions/net-0{12}\.json must .*run the same `lsd grid` again"
        ):
            read_champions(store, key)
        remember_champions(store, "net", "0" * 64, more, otherwise=lambda: held)
        assert read_champions(store, key) == held | more


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.slow
def test_a_disk_that_fills_is_one_line_and_a_later_run_ends_with_the_same_bytes(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    calm, writes = contents(Store(settings.store)), itertools.count()
    fresh = Settings(**{**vars(settings), "store": str(tmp_path / "store")})
    sync = os.fsync

    def fill(handle: int) -> None:
        if next(writes) > 40:
            raise OSError(number, os.strerror(number))
        sync(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fill)
        run = driver.fill_cells(make_plan(parse_grid(dict(GRID))), a_driver(fresh))
    assert run.failures
    for reason in run.failures.values():
        assert os.strerror(number) in reason
        assert reason.count("InputError") == 1
        assert reason.isprintable()
        assert len(reason) < 600
    assert damaged_cells(Store(fresh.store)) == {}
    grid(fresh)
    assert contents(Store(fresh.store)) == calm


def remember(url: str, number: int) -> None:
    remember_champions(Store(url), "net", "0" * 64, {f"nfe{number}": f"{number:064x}"})


def test_drivers_that_name_champions_at_once_lose_none(tmp_path: Path) -> None:
    """Forty of them: threads, and processes that share only the folder."""
    url, key = str(tmp_path / "store"), champions_key("net", "0" * 64)
    Store(url).check()
    threads = [Thread(target=remember, args=(url, number)) for number in range(20)]
    processes = [
        get_context("fork").Process(target=many, args=(url, range(n, n + 5))) for n in range(20, 40, 5)
    ]
    for each in [*processes, *threads]:
        each.start()
    for each in [*threads, *processes]:
        each.join()
    assert read_champions(Store(url), key) == {f"nfe{n}": f"{n:064x}" for n in range(40)}


def many(url: str, numbers: range) -> None:
    for number in numbers:
        remember(url, number)
