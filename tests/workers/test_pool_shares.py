"""Long items are not kept waiting behind another while a worker is free, or about to be."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from workers import pool
from workers.pool import Pool

pytestmark = pytest.mark.usefixtures("local_ray")


class Sleeper:
    """Sleeps as long as an item says; the second that is built comes late."""

    def __init__(self, folder: str, late_s: float) -> None:
        try:
            (Path(folder) / "first").touch(exist_ok=False)
        except FileExistsError:
            time.sleep(late_s)

    def run(self, seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()


def workers_of(items: list[float], folder: Path, late_s: float = 0.0) -> list[Any]:
    """Which process did each item, in the order they ended."""
    with Pool(Sleeper, (str(folder), late_s), num_workers=2, depth=2) as opened:
        return [(outcome.item, outcome.result) for outcome in opened.map(items)]


def test_a_second_item_waits_for_the_worker_that_is_starting(tmp_path: Path) -> None:
    done = workers_of([4.0, 4.0], tmp_path, late_s=1.0)
    assert len({pid for _, pid in done}) == 2


def test_behind_a_long_item_nothing_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "SHORT_S", 0.1)
    done = workers_of([0.5, 0.5, 0.5, 0.5, 3.0, 0.3, 0.3, 0.3], tmp_path)
    assert done[-1][0] == 3.0
    others = [pid for seconds, pid in done if seconds == 0.3]
    assert done[-1][1] not in others
