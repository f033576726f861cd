"""The store: a file appears whole or not at all, no secret is kept or shown, and errors name the remedy."""

import os
import pickle
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from lsd_core.errors import InputError
from lsd_core.storage.store import Store


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """An empty store of each kind."""
    if request.param == "folder":
        return Store(str(tmp_path / "store"))
    if request.param == "memory":
        return Store(f"memory://{uuid.uuid4().hex}/lsd")
    return Store(request.getfixturevalue("bucket") + "/lsd/")


def test_keys_hold_what_was_written(store: Store) -> None:
    assert store.list() == []
    assert not store.exists("a/b")
    store.write_bytes("a/b", b"1")
    store.write_bytes("a/b", b"2")
    store.write_json("a/c/d.json", {"z": [1.5, None], "a": "é"})
    store.write_bytes("ab", b"")
    assert store.read_bytes("a/b") == b"2"
    assert store.read_bytes("a/c/d.json") == '{"a":"é","z":[1.5,null]}'.encode()
    assert store.read_json("a/c/d.json") == {"z": [1.5, None], "a": "é"}
    assert store.list() == ["a/b", "a/c/d.json", "ab"]
    assert store.list("a") == ["a/b", "a/c/d.json"]
    assert store.list("a/b") == ["a/b"]  # and not `ab`
    assert store.list("nothing") == store.list("a/nothing") == []
    assert store.exists("ab")
    assert abs(store.modified("a/b") - store.modified("ab")) < 60
    store.delete("a/b")
    store.delete("a/b")
    assert store.list("a") == ["a/c/d.json"]
    with pytest.raises(FileNotFoundError):
        store.read_bytes("a/b")


def test_check_passes_and_leaves_nothing(store: Store) -> None:
    store.check()
    assert store.list() == []
    store.write_bytes("a", b"")
    store.check(writable=False)


def test_two_stores_see_each_other_at_once(store: Store) -> None:
    other = Store(store.url)
    store.write_bytes("a", b"1")
    assert other.list() == ["a"]
    store.write_bytes("b", b"1")
    assert other.list() == ["a", "b"]
    other.check(writable=False)  # lists
    store.write_bytes("c", b"1")
    assert other.exists("c")
    store.write_bytes("a", b"22")
    assert other.read_bytes("a") == b"22"


def test_looking_for_a_file_on_s3_is_one_request(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from s3fs import S3FileSystem

    asked: list[str] = []
    call = S3FileSystem._call_s3

    async def counted(self: S3FileSystem, method: str, *arguments: object, **options: object) -> object:
        asked.append(method)
        return await call(self, method, *arguments, **options)

    store = Store(bucket + "/lsd")
    store.write_bytes("a/b", b"1")
    monkeypatch.setattr(S3FileSystem, "_call_s3", counted)
    assert (store.exists("a/b"), store.exists("a/c"), store.exists("a")) == (True, False, False)
    assert asked == ["get_object"] * 3


def test_pickle_carries_the_url_alone(store: Store) -> None:
    store.write_bytes("a", b"1")  # connected by now
    data = pickle.dumps(store)
    assert b"of-the-test" not in data
    assert len(data) < 200
    again = pickle.loads(data)
    assert again == store
    assert again.read_bytes("a") == b"1"


@pytest.mark.parametrize("key", ["/etc/passwd", "../up", "a/../../up"])
def test_key_outside_the_store_is_refused(store: Store, key: str) -> None:
    with pytest.raises(InputError, match="key must be a relative path inside the store"):
        store.read_bytes(key)


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_write_that_fails_half_way_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    store = Store(str(tmp_path / "store"))
    store.write_bytes("a", b"whole")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, failing, fail)
        for key in ("a", "b"):
            with pytest.raises(InputError, match=r"store must be reachable and allow this.*disk full"):
                store.write_bytes(key, b"half")
    assert store.read_bytes("a") == b"whole"
    assert store.list() == ["a"]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["a"]


def test_scratch_of_a_killed_writer_is_invisible_and_swept_when_old(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    store.write_bytes("a", b"whole")
    left = tmp_path / "store" / ".scratch" / "left"
    left.write_bytes(b"half")
    assert store.list() == ["a"]
    store.sweep(before=left.stat().st_mtime - 1)
    assert left.exists()
    store.sweep(before=left.stat().st_mtime + 1)
    assert not left.exists()
    assert store.read_bytes("a") == b"whole"


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIA:hunter2@bucket/lsd",
        "s3://AKIA:hunt/er2@bucket/lsd",
        "s3://hunter2@bucket",
        "s3://bucket/lsd?secret=hunter2",
        "s3://bucket/lsd?secret=hunter2@x",
        "sftp://me:hunter2@host/lsd",
        "https://host/lsd?X-Amz-Signature=hunter2",
    ],
)
def test_url_with_credentials_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InputError, match=r"without credentials.*AWS_ACCESS_KEY_ID") as caught:
        Store(url)
    assert all(part not in f"{caught.value}{caught.value.args}" for part in ("hunt", "er2"))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("url", ["", "nonsense://x", "simplecache::s3://bucket"])
def test_url_of_no_store_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="store must be a folder or a URL"):
        Store(url)


def test_folder_is_absolute_and_user_may_be_part_of_a_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Store("store").url == Store(f"file://{tmp_path}/store/").url == str(tmp_path / "store")
    assert Store("me@home/store").url == str(tmp_path / "me@home/store")
    assert Store("abfss://container@account.dfs.core.windows.net/lsd").url.startswith("abfss://container@")


def test_new_folder_is_made_inside_an_existing_one_only(tmp_path: Path) -> None:
    Store(str(tmp_path / "new")).check()
    assert (tmp_path / "new").is_dir()
    with pytest.raises(
        InputError, match=r"store must be a folder inside an existing one, got .*/no/new; make"
    ):
        Store(str(tmp_path / "no" / "new")).check()
    assert not (tmp_path / "no").exists()
    with pytest.raises(InputError, match="store must be reachable"):
        Store(str(tmp_path / "absent")).check(writable=False)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=f"store must .*{tmp_path / 'file'}"):
        Store(str(tmp_path / "file")).check()


def test_missing_bucket_is_named(s3_environment: None) -> None:
    with pytest.raises(InputError, match=r"s3://no-such-bucket/lsd .*AWS_ACCESS_KEY_ID.*bucket must exist"):
        Store("s3://no-such-bucket/lsd").check()
    with pytest.raises(InputError, match="s3://no-such-bucket/lsd "):
        Store("s3://no-such-bucket/lsd").check(writable=False)


def test_unreachable_server_is_named_with_its_variables(
    s3_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(
        InputError, match=r"s3://bucket/lsd .*AWS_SECRET_ACCESS_KEY.*AWS_ENDPOINT_URL"
    ) as caught:
        Store("s3://bucket/lsd").check()
    assert "secret-of-the-test" not in str(caught.value)


def test_missing_credentials_are_named(s3_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with pytest.raises(InputError, match=r"s3://bucket.*NoCredentials.*AWS_ACCESS_KEY_ID"):
        Store("s3://bucket/lsd").check()


def test_write_new_keeps_what_is_there(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    store.write_new("a/b", b"first")
    store.write_new("a/b", b"second")
    assert store.read_bytes("a/b") == b"first"
    assert store.list() == ["a/b"]


def test_write_new_works_on_a_disk_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr("os.link", refuse)
    store = Store(str(tmp_path / "store"))
    store.write_new("a/b", b"bytes")
    assert store.read_bytes("a/b") == b"bytes"
    assert store.list() == ["a/b"]


@pytest.fixture
def linked(tmp_path: Path) -> tuple[Store, Path]:
    """A store in which `cells` and the folder for scratch are links to a person's folder, and a file there."""
    precious = tmp_path / "papers" / "precious.txt"
    precious.parent.mkdir()
    precious.write_bytes(b"the only copy")
    os.utime(precious, (0, 0))
    (tmp_path / "store").mkdir()
    for name in ("cells", ".scratch"):
        (tmp_path / "store" / name).symlink_to(precious.parent)
    return Store(str(tmp_path / "store")), precious


@pytest.mark.parametrize(
    "attempt",
    [
        lambda store: store.write_bytes("cells/precious.txt", b"other"),
        lambda store: store.write_new("cells/new.txt", b"other"),
        lambda store: store.write_version("cells/precious.txt", b"other", None),
        lambda store: store.delete("cells/precious.txt"),
        lambda store: store.write_bytes("elsewhere/a", b"its scratch would go there"),
        lambda store: store.locked("a").__enter__(),
        lambda store: store.check(),
    ],
    ids=["write", "write_new", "write_version", "delete", "scratch", "lock", "check"],
)
def test_nothing_is_written_or_removed_through_a_link_in_a_store(
    linked: tuple[Store, Path], attempt: Callable[[Store], object]
) -> None:
    store, precious = linked
    with pytest.raises(InputError, match=r"must lie in the store itself, got a link that leads to .*papers"):
        attempt(store)
    assert precious.read_bytes() == b"the only copy"
    assert list(precious.parent.iterdir()) == [precious]


def test_a_link_where_a_run_would_write_is_found_before_work(linked: tuple[Store, Path]) -> None:
    store, precious = linked
    (Path(store.url) / ".scratch").unlink()
    with pytest.raises(InputError, match=r"/cells/.* must lie in the store itself.*in the place of the link"):
        store.check()
    store.check(writable=False)
    assert list(precious.parent.iterdir()) == [precious]


def test_a_folder_of_another_disk_is_found_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, stat = Store(str(tmp_path / "store")), Path.stat
    store.write_bytes("teachers/a", b"1")
    store.check()

    def mounted(path: Path, **options: bool) -> os.stat_result:
        found = stat(path, **options)
        return os.stat_result((*found[:2], found.st_dev + (path.name == "teachers"), *found[3:10]))

    monkeypatch.setattr(Path, "stat", mounted)
    with pytest.raises(
        InputError, match=r"teachers must lie on the disk of its store, got a folder of another"
    ):
        store.check()
    store.check(writable=False)


def test_what_lies_behind_a_link_is_not_swept(linked: tuple[Store, Path]) -> None:
    store, precious = linked
    store.sweep(before=precious.stat().st_mtime + 1)
    assert precious.exists()
    (Path(store.url) / ".scratch").unlink()
    store.write_bytes("a", b"")
    left = Path(store.url) / ".scratch" / "left"
    left.symlink_to(precious)
    store.sweep(before=left.lstat().st_mtime + 1)
    assert not left.is_symlink()
    assert precious.exists()


def test_a_link_to_a_whole_store_is_that_store(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    store = Store(str(tmp_path / "store"))
    store.check()
    store.write_bytes("a/b", b"1")
    assert (tmp_path / "disk" / "a" / "b").read_bytes() == b"1"
    store.delete("a/b")
    assert store.list() == []


def test_a_linked_file_can_be_read_and_is_replaced_itself(linked: tuple[Store, Path]) -> None:
    store, precious = linked
    (Path(store.url) / ".scratch").unlink()
    (Path(store.url) / "file").symlink_to(precious)
    assert store.read_bytes("file") == store.read_bytes("cells/precious.txt") == b"the only copy"
    store.write_bytes("file", b"other")
    assert store.read_bytes("file") == b"other"
    assert precious.read_bytes() == b"the only copy"
