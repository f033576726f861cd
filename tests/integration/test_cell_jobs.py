"""A cell as a Ray job: filled once, whoever asks again; a job that failed may be tried again."""

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from flows.cli import main
from flows.config import load_grid
from flows.pipeline.cell_jobs import cells_of
from flows.settings import resolve
from lsd_core.cards import SamplerCard
from lsd_core.storage.store import Store
from tests.integration.clusters import Head, ray_head
from tests.integration.driving import ROOT, lsd

pytestmark = pytest.mark.timeout(900)  # on a machine that is busy with other things

# Ray reads its token when it is imported, so a client of this cluster is a process of its own.
FOLLOW = """
import sys, time
from workers.submission import Jobs
jobs, name = Jobs(sys.argv[1]), sys.argv[2]
while jobs.status(name) in ("PENDING", "RUNNING"):
    time.sleep(0.5)
print(jobs.status(name), jobs.log(name))
"""
RETRY = """
import sys, time
from workers.submission import Jobs
jobs, name = Jobs(sys.argv[1]), "lsd-test-retry"
for entrypoint in ("exit 3", "echo mended"):
    job = jobs.submit(name, entrypoint)
    while jobs.status(job.name) in ("PENDING", "RUNNING"):
        time.sleep(0.5)
    print(job.new, job.name, jobs.status(job.name), "mended" in jobs.log(job.name))
print(jobs.submit(name, "echo again").new, jobs.status("lsd-test-none"))
"""


def wait_for_jobs_api(head: Head) -> None:
    """The dashboard's port is open before its jobs API answers."""
    request = urllib.request.Request(
        f"{head.dashboard}/api/jobs/", headers={"Authorization": f"Bearer {head.env['RAY_AUTH_TOKEN']}"}
    )
    deadline = time.monotonic() + 200
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def client(head: Head, script: str, *arguments: str) -> str:
    """What a script prints that talks to the cluster."""
    command = [sys.executable, "-c", script, head.dashboard, *arguments]
    env = os.environ | head.env | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_cell_submitted_twice_is_filled_once(tmp_path: Path) -> None:
    url, home = str(tmp_path / "store"), tmp_path / "lsd-data"
    config = load_grid("tiny", methods=["plain", "cosine"], store=url)
    (cell,) = cells_of(config, resolve(config=config.places))  # euler and tweedie are one law, hence one job
    with ray_head(2, LSD_HOME=str(home)) as head:
        wait_for_jobs_api(head)

        def submit() -> str:
            command = [
                "submit",
                "tiny",
                "--methods",
                "plain",
                "cosine",
                "--address",
                head.dashboard,
                "--store",
                url,
            ]
            done = lsd(*command, home=home, **head.env)
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout

        assert f"submitted: {cell.key}" in submit()
        again = submit()  # while it is under way, or just done
        assert "there already" in again, client(head, FOLLOW, cell.key)
        ended = client(head, FOLLOW, cell.key)
        assert ended.startswith("SUCCEEDED"), ended
        assert "cells: 0 reused, 4 made" in ended
        store = Store(url)
        before = {key: store.modified(key) for key in store.list()}
        cards = [
            SamplerCard.from_json(store.read_bytes(k).decode()) for k in before if k.endswith("card.json")
        ]
        assert sorted((card.sampler, card.method) for card in cards) == [
            ("euler", "cosine"),
            ("euler", "plain"),
            ("tweedie", "cosine"),
            ("tweedie", "plain"),
        ]
        assert "there already, succeeded" in submit()
        assert {key: store.modified(key) for key in store.list()} == before
        words = ("True", "False")  # and not what Ray logs beside them
        assert [line for line in client(head, RETRY).splitlines() if line.startswith(words)] == [
            "True lsd-test-retry FAILED False",
            "True lsd-test-retry-try2 SUCCEEDED True",
            "False None",
        ]


def test_a_cluster_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str], lsd_home: Path) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["submit", "tiny", "--address", "http://127.0.0.1:9"])
    assert refused.value.code == 2
    printed = capsys.readouterr().err
    assert len(printed.strip().splitlines()) == 1
    assert "RAY_AUTH_TOKEN" in printed
