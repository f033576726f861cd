"""What a machine brings along that is not ours: proxies, long and odd paths, users without a name, containers."""

import os
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch

from flows.cli.shared import visible
from flows.pipeline import embedded
from flows.settings import name_the_user, resolve, trust_loopback
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.backbones.storage import to_bytes
from lsd_core.errors import InputError
from lsd_core.numerics import machine
from lsd_core.samplers.prompts import given_tokens
from lsd_core.storage.home import cache_dir, expanded
from lsd_core.storage.store import Store
from workers import session


def test_a_proxy_is_not_asked_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    env = {"http_proxy": "http://127.0.0.1:9", "NO_PROXY": "corp.example, 127.0.0.1"}
    trust_loopback(env)
    assert env["NO_PROXY"] == env["no_proxy"] == "corp.example,127.0.0.1,localhost,::1"
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert urllib.request.proxy_bypass("127.0.0.1")
    assert not urllib.request.proxy_bypass("elsewhere.example")
    untouched: dict[str, str] = {"PATH": "x"}
    trust_loopback(untouched)
    assert untouched == {"PATH": "x"}


def test_a_user_id_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    import getpass

    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    env: dict[str, str] = {}
    name_the_user(env)
    assert env == {"USER": "uid-4000000"}
    monkeypatch.setattr(os, "environ", env)
    assert getpass.getuser() == "uid-4000000"
    kept = {"LOGNAME": "me"}
    name_the_user(kept)
    assert kept == {"LOGNAME": "me"}


def test_a_home_folder_that_nobody_knows_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        InputError, match="path must lie in a home folder that is known, got ~nobody-at-all/x"
    ):
        expanded("~nobody-at-all/x")
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", _no_such_user)
    with pytest.raises(InputError, match="set HOME"):
        cache_dir()


def _no_such_user(number: int) -> None:
    raise KeyError(number)


@pytest.mark.parametrize("name", ["with space", "[v2]", "é", "a+b,c=d", "it's"])
def test_odd_letters_in_a_home_are_letters(name: str, tmp_path: Path) -> None:
    settings = resolve(env={"LSD_HOME": str(tmp_path / name)})
    settings.apply({})
    store = Store(settings.store)
    store.check()
    store.write_json("cells/a[0]/card*.json", {"a": 1})
    assert store.list() == ["cells/a[0]/card*.json"]
    assert store.read_json("cells/a[0]/card*.json") == {"a": 1}
    assert store.exists("cells/a[0]/card*.json")


@pytest.mark.parametrize("name", ["a#b", "a%20b", "a?b"])
def test_letters_that_end_a_url_are_refused_in_a_home(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"home must be without . in its path, .*set LSD_HOME"):
        resolve(env={"LSD_HOME": str(tmp_path / name)})
    store = Store(str(tmp_path / name))  # a store alone may be called so
    store.check()
    store.write_bytes("a", b"1")
    assert (tmp_path / name / "a").read_bytes() == b"1"


def test_sockets_of_a_private_ray_have_a_short_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/tmp/short")
    assert session._short_temp_dir("local") == {}
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("x" * 40)))
    assert session._short_temp_dir("10.0.0.1:6379") == {}
    folder = Path(str(session._short_temp_dir("local")["_temp_dir"]))
    assert folder.is_dir()
    assert len(str(folder)) <= session.LONGEST_TEMP_DIR
    folder.rmdir()
    monkeypatch.setattr("tempfile.mkdtemp", _full)
    with pytest.raises(InputError, match=r"TMPDIR must be short enough for Ray's sockets.*RAY_TMPDIR"):
        session._short_temp_dir("local")


def _full(**_: object) -> str:
    raise OSError("no room")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:8265", "a dashboard, for `lsd submit --address`"),
        ("127.0.0.1", "ray_address must be HOST:PORT"),
        ("host:port", "ray_address must be HOST:PORT"),
        ("127.0.0.1:9", "ray_address must be a Ray cluster that answers"),
        ("ray://127.0.0.1:9", "RAY_AUTH_TOKEN"),
        ("host:99999", "ray_address must be HOST:PORT"),
    ],
)
def test_a_cluster_that_cannot_be_joined_is_refused_before_work(address: str, words: str) -> None:
    with pytest.raises(InputError) as caught:
        session.check_address(address)
    assert words in str(caught.value)
    assert session.check_address("local") is None


def test_a_prefect_server_that_does_not_answer_is_refused_before_work() -> None:
    with pytest.raises(
        InputError, match=r"prefect_api_url must be a Prefect API that answers.*unset PREFECT_API_URL"
    ):
        embedded._knock("http://127.0.0.1:9/api")


def test_cores_and_memory_are_those_that_a_container_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    assert machine.cores(tmp_path) == 8
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.cores(tmp_path) == 8
    have = machine.memory_bytes(tmp_path)
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    (tmp_path / "memory.max").write_text(f"{2**20}\n")
    assert machine.cores(tmp_path) == 2
    assert machine.memory_bytes(tmp_path) == 2**20 < have
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert machine.cores(tmp_path) == 1


def test_prompts_may_be_tensors_and_arrays() -> None:
    backbone = exact_backbone("tiny", length=6, num_values=4)
    expected = torch.tensor([3, 2, 4, 4, 4, 4])
    for prompt in (
        [3, 2],
        torch.tensor([3, 2]),
        np.array([3, 2]),
        list(torch.tensor([3, 2])),
        list(np.array([3, 2])),
    ):
        assert torch.equal(given_tokens(backbone, prompt), expected)
    for wrong in (torch.tensor([3.0, 2.0]), np.array([[3, 2]]), torch.tensor([True]), np.array([7]), ["3"]):
        with pytest.raises(InputError, match=r"prompt\[0\] must lie in 0\.\.3"):
            given_tokens(backbone, wrong)


def test_a_file_that_was_replaced_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    file.write_bytes(to_bytes(exact_backbone("net", length=6, num_values=4)))
    first = load_backbone(str(file))
    assert load_backbone(str(file)) is first
    file.write_bytes(to_bytes(exact_backbone("net", length=8, num_values=4)))
    assert load_backbone(str(file)).length == 8


@pytest.mark.parametrize(
    "words",
    [
        "x-amz-content-sha256 mismatch",
        "Unsupported checksum algorithm",
        "MissingContentLength",
        "x-amz-trailer",
    ],
)
def test_a_server_that_does_not_know_newer_checksums_is_told_apart(
    words: str, s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3fs import S3FileSystem

    def refuse(*_: object, **__: object) -> None:
        raise OSError(22, words)

    monkeypatch.setattr(S3FileSystem, "pipe_file", refuse)
    with pytest.raises(InputError, match="AWS_REQUEST_CHECKSUM_CALCULATION=when_required"):
        Store("s3://bucket/lsd").write_bytes("a", b"1")


def test_samples_cannot_move_a_cursor() -> None:
    assert visible("a\tb\x1b[31m\nc\u202e é 中") == "a\\tb\\x1b[31m\\nc\\u202e é 中"
