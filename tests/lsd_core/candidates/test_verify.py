"""One changed digit in a card, a table, a measurement, a certificate or a champions file is named."""

import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsd_core.candidates.verify import damaged_cells
from lsd_core.storage.store import Store

PUBLISHED = Path(__file__).parents[2] / "published" / "home.tar.xz"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of version 0.1.0."""
    folder = tmp_path_factory.mktemp("published")
    with tarfile.open(PUBLISHED) as archive:
        archive.extractall(folder, filter="data")
    return Store(str(folder / "store"))


def test_a_store_of_version_0_1_0_has_no_damage(store: Store) -> None:
    assert damaged_cells(store) == {}


def changed_digits(store: Store) -> Iterator[tuple[str, bytes]]:
    """(key, content with one digit changed), of one file of each kind."""
    places = {
        r"cells/\w+/card\.json": [
            rb'"per_seed":\[(\d)',
            rb'"gains":\[(\d)',
            rb'"config_hash":"[a-f]*(\d)',
            rb'"steps":(\d)',
        ],
        r"cells/\w+/table-0\.json": [rb'"gains":\[\d\.(\d)'],
        r"cells/\w+/report-0-T1\.json": [rb'"unigram_entropy":\d\.(\d)'],
        r"cells/\w+/certificate-0\.json": [rb":\d+\.(\d)"],
        r"champions/.*\.json": [rb'":"[a-f]*(\d)'],
    }
    for pattern, digits in places.items():
        keys = [key for key in store.list() if re.fullmatch(pattern, key)]
        assert keys, pattern
        for digit in digits:
            for key in keys:
                data = store.read_bytes(key)
                if found := re.search(digit, data):
                    at = found.start(1)
                    yield key, data[:at] + (b"%d" % ((int(data[at : at + 1]) + 1) % 10)) + data[at + 1 :]
                    break
            else:
                raise AssertionError(f"no file has {digit!r}")


@pytest.mark.slow
def test_every_changed_digit_is_named(store: Store) -> None:
    count = 0
    for key, spoiled in changed_digits(store):
        whole = store.read_bytes(key)
        store.write_bytes(key, spoiled)
        named = damaged_cells(store)
        folder = key.rpartition("/")[0]
        assert any(each.startswith(folder) for each in named), (key, named)
        store.write_bytes(key, whole)
        count += 1
    assert count == 8
    assert damaged_cells(store) == {}


@pytest.mark.parametrize("content", [b"", b"{half", b"[]", b"\xff\xfe", b'{"champions": 3}'])
def test_half_files_are_named(store: Store, content: bytes) -> None:
    for pattern in ("/card.json", "champions/"):
        key = next(key for key in store.list() if pattern in key)
        whole = store.read_bytes(key)
        store.write_bytes(key, content)
        assert key in damaged_cells(store)
        store.write_bytes(key, whole)
