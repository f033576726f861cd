"""A Ray node that is drained, as autoscalers and spot terminations do, costs a pool the node and no item."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.integration.clusters import Head, end, free_ports, ray_head
from tests.integration.driving import ROOT

pytestmark = pytest.mark.timeout(600)  # on a machine that is busy with other things

RAY = str(Path(sys.executable).with_name("ray"))
NOTICE_S = 4  # from the notice to the end of the node
MORE = 12  # items that are begun after the node is gone

DRIVER = """
import json, pathlib, sys, time
import ray
from workers import pool

class Square:
    def run(self, item):
        time.sleep(0.25)
        return item * item, ray.get_runtime_context().get_node_id()

class Source:
    # Items until a file appears, and some more.
    closed, number, left = False, 0, 12

    def take(self):
        self.left -= pathlib.Path(sys.argv[2]).exists()
        self.closed = self.left < 0 or self.number == 400
        self.number += 1
        return None if self.closed else self.number - 1

give_back = pool.Queue.give_back

def watched(queue, call):
    print(json.dumps({"lost": call.item, "deaths": call.deaths}), flush=True)
    give_back(queue, call)

pool.Queue.give_back = watched
ray.init(address=sys.argv[1], logging_level="ERROR", log_to_driver=False)
heads = [node["NodeID"] for node in ray.nodes() if "node:__internal_head__" in node["Resources"]]
with pool.Pool(Square, num_workers=2) as squares:
    for done in squares.map(Source()):
        value, node = done.result or (None, None)
        told = {"item": done.item, "value": value, "node": node, "head": node in heads}
        print(json.dumps(told | {"failed": done.failure and done.failure.kind}), flush=True)
"""


@contextlib.contextmanager
def second_node(head: Head, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another node on this machine, for the length of the block."""
    command = [RAY, "start", "--block", f"--address={head.address}", "--num-cpus=1", "--disable-usage-stats"]
    command += ["--node-ip-address=127.0.0.1", "--object-store-memory=100000000"]
    # Nodes of one machine share its ports: the kernel hands them out.
    command += [
        "--min-worker-port=0",
        "--max-worker-port=0",
        f"--dashboard-agent-listen-port={free_ports(1)[0]}",
    ]
    with log.open("wb") as file:
        env = os.environ | head.env | {"PYTHONPATH": str(ROOT)}
        node = subprocess.Popen(command, env=env, stdout=file, stderr=file)
    try:
        yield node
    finally:
        end(node)


def drain(head: Head, node: str) -> None:
    """The command that autoscalers and spot handlers give: no new work there, and its end after the notice."""
    command = [RAY, "drain-node", f"--address={head.address}", f"--node-id={node}", "--reason-message=spot"]
    command += ["--reason=DRAIN_NODE_REASON_PREEMPTION", f"--deadline-remaining-seconds={NOTICE_S}"]
    done = subprocess.run(command, env=os.environ | head.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def leave(head: Head, name: str, node: subprocess.Popen[bytes], gone: Path) -> None:
    """Take the node away, with notice, and then say so by a file."""
    drain(head, name)
    time.sleep(NOTICE_S)
    end(node)
    gone.touch()


@contextlib.contextmanager
def driver(head: Head, gone: Path) -> Iterator[Iterator[dict[str, Any]]]:
    """What a driver says of its items, as they finish; they come to an end once the file is there."""
    command = [sys.executable, "-c", DRIVER, head.address, str(gone)]
    env = os.environ | head.env | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield (json.loads(line) for line in process.stdout if line.startswith("{"))
            assert process.wait() == 0
        finally:
            process.kill()


def test_all_items_of_a_pool_complete_though_one_of_its_nodes_is_drained_and_ends(tmp_path: Path) -> None:
    gone, drained, lost, done = tmp_path / "gone", "", list[int](), list[dict[str, Any]]()
    with (
        ray_head(num_cpus=1) as head,
        second_node(head, tmp_path / "node.log") as node,
        ThreadPoolExecutor(1) as aside,
        driver(head, gone) as told,
    ):
        for line in told:
            if "deaths" in line:
                lost.append(line["deaths"])
                continue
            done.append(line)
            if not drained and not line["head"]:
                drained = line["node"]
                leaving = aside.submit(leave, head, drained, node, gone)
        leaving.result()
    assert drained
    assert [item for item in done if item["failed"]] == []
    assert sorted((item["item"], item["value"]) for item in done) == [(i, i * i) for i in range(len(done))]
    assert all(item["head"] for item in done[-MORE // 2 :])  # by the node that is left
    assert set(lost) == {0}  # a loss that is announced is not the item's
