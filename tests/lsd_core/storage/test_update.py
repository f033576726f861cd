"""A file that several change at once keeps every change."""

import json
from threading import Thread
from typing import Any

import pytest
from botocore.exceptions import ClientError
from fsspec.asyn import sync
from s3fs import S3FileSystem
from s3fs.errors import translate_boto_error

from lsd_core.storage.store import Store
from lsd_core.storage.update import CONDITIONAL, update


def adding(name: str):
    """A change that puts a name into a list, once."""

    def change(data: bytes | None) -> bytes:
        known = json.loads(data or b"[]")
        return data if data is not None and name in known else json.dumps(sorted({*known, name})).encode()

    return change


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_changes_side_by_side_are_all_kept(kind: str, tmp_path) -> None:
    url = str(tmp_path / "store") if kind == "folder" else "memory://update"
    Store(url).check()
    threads = [Thread(target=update, args=(Store(url), "a", adding(str(n)))) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(json.loads(Store(url).read_bytes("a"))) == {str(n) for n in range(12)}
    assert Store(url).list() == ["a"]  # no lock is taken for a file


@pytest.mark.parametrize("looks", [True, False], ids=["If-Match", "no condition"])
@pytest.mark.parametrize("there", [True, False], ids=["a file", "no file"])
def test_a_rival_who_writes_in_between_is_not_lost(
    bucket: str, looks: bool, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On S3: by the condition, and where a server does not look at it, as far as reading again can tell."""
    store, write, rivals = Store(f"{bucket}/lsd"), Store.write_version, iter(["rival"])
    if there:
        store.write_bytes("a", b'["old"]')

    def rival_between(self: Store, key: str, data: bytes, tag: str | None) -> bool:
        rival = next(rivals, None)
        if rival and looks:
            self.write_bytes(key, adding(rival)(self.read_bytes(key) if there else None))
        done = write(self, key, data, tag) if looks else self.write_bytes(key, data) is None
        if rival and not looks:  # who read before us, and writes after us
            self.write_bytes(key, json.dumps([*(["old"] if there else []), rival]).encode())
        return done

    monkeypatch.setattr(Store, "write_version", rival_between)
    update(store, "a", adding("mine"))
    assert set(json.loads(store.read_bytes("a"))) == {"mine", "rival"} | ({"old"} if there else set())


def test_a_server_that_refuses_every_condition_is_written_to_all_the_same(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, refused = Store(f"{bucket}/lsd"), []
    monkeypatch.setattr(Store, "write_version", lambda *_: refused.append(1) is not None)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    update(store, "a", adding("mine"))
    assert json.loads(store.read_bytes("a")) == ["mine"]
    assert len(refused) == CONDITIONAL


REFUSALS = {
    "PreconditionFailed": 412,
    "412": 412,
    "ConditionalRequestConflict": 409,  # of two conditional writes at once
    "OperationAborted": 409,
    "NoSuchKey": 404,  # If-Match on what was removed since
    "NotImplemented": 501,  # a server without conditions
    "InvalidRequest": 400,
    "InvalidArgument": 400,
}


@pytest.mark.parametrize("code", REFUSALS)
@pytest.mark.parametrize("always", [True, False], ids=["every condition", "the first"])
def test_however_a_server_refuses_a_condition_the_change_is_made(
    code: str, always: bool, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers differ in what they answer to If-Match and If-None-Match."""
    refused = list[str]()

    def answer(self: S3FileSystem, path: str, data: bytes, **condition: str) -> None:
        if condition and (always or not refused):
            refused.append(code)
            status = {"HTTPStatusCode": REFUSALS[code]}
            response: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": status}
            raise translate_boto_error(ClientError(response, "PutObject"))
        sync(self.loop, self._pipe_file, path, data, **condition)

    monkeypatch.setattr(S3FileSystem, "pipe_file", answer)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    store = Store(f"{bucket}/lsd")
    update(store, "a", adding("mine"))
    assert json.loads(store.read_bytes("a")) == ["mine"]
    assert len(refused) == (CONDITIONAL if always else 1)
