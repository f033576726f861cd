"""Checking what is on the store against its manifests, and clearing away what no manifest lists."""

import hashlib
import time
from collections import defaultdict
from dataclasses import dataclass

from lsd_core.errors import InputError
from lsd_core.storage.store import Store
from lsd_core.trajectories.manifest import MANIFEST, CorruptFileError, Manifest, parse_manifest
from lsd_core.trajectories.prefetch import ahead
from lsd_core.trajectories.read import verified_bytes
from lsd_core.trajectories.write import ShardRecord, parse_shard_name

WEEK_S = 7 * 24 * 3600.0


@dataclass(frozen=True, order=True)
class Problem:
    """A bad file."""

    key: str
    """Which, as a key of the store."""
    reason: str
    """One line: the file, the rule it breaks, and what to do."""

    def __str__(self) -> str:
        return self.reason


def verify(store: Store, prefix: str = "") -> list[Problem]:
    """Read every shard and manifest below a folder and name each bad file; empty if all is well.

    A shard must be what the current manifest says of it. One that no manifest lists yet must be what its
    name says, unless the manifest has another file for its index. The store may also be a teacher's folder.
    """
    problems: list[Problem] = []
    for keys in _teachers(store, prefix).values():
        manifests, bad = _manifests(store, keys)
        current = next((m for key, m in manifests.items() if _name(key) == MANIFEST), None)
        if manifests and current is None and not bad:
            folder = next(iter(manifests)).rpartition("/")[0]
            bad = [
                Problem(f"{folder}/{MANIFEST}".lstrip("/"), "must exist beside the manifests it came from")
            ]
        records = list(current.shards) if current else []
        filled = {record.index for record in records}
        spare = [
            (key, name) for key in keys if (name := parse_shard_name(_name(key))) and name[0] not in filled
        ]
        problems += bad
        problems += [problem for problem in ahead(lambda r: _check_listed(store, r), records) if problem]
        problems += [problem for problem in ahead(lambda pair: _check_name(store, *pair), spare) if problem]
    return sorted(problems)


def collect_garbage(
    store: Store, older_than_s: float = WEEK_S, now: float | None = None, dry_run: bool = False
) -> list[str]:
    """Delete shards that no manifest ever published lists, last written more than `older_than_s` ago.

    Returns their keys. A folder with a damaged manifest is left alone. The age must exceed the longest run,
    whose shards are listed only at its end; scratch files of that age go too.
    """
    if not older_than_s >= 0:
        raise InputError("older_than_s", "be >= 0", older_than_s)
    before = (time.time() if now is None else now) - older_than_s
    orphans: list[str] = []
    for keys in _teachers(store, "teachers").values():
        manifests, bad = _manifests(store, keys)
        if bad:
            continue
        listed = {record.key for manifest in manifests.values() for record in manifest.shards}
        shards = (key for key in keys if parse_shard_name(_name(key)))
        orphans += [key for key in shards if key not in listed and store.modified(key) < before]
    if not dry_run:
        for key in orphans:
            store.delete(key)
        store.sweep(before)
    return orphans


def _teachers(store: Store, prefix: str) -> dict[str, list[str]]:
    """Keys of shards and manifests below a folder, by the folder they are in."""
    folders: dict[str, list[str]] = defaultdict(list)
    for key in store.list(prefix):
        if parse_shard_name(_name(key)) or _is_manifest(key):
            folders[key.rpartition("/")[0]].append(key)
    return folders


def _manifests(store: Store, keys: list[str]) -> tuple[dict[str, Manifest], list[Problem]]:
    """The manifests among the keys, and those that are damaged."""
    manifests, bad = {}, []
    for key in filter(_is_manifest, keys):
        try:
            data = store.read_bytes(key)
            manifests[key] = parse_manifest(data, key, store)
        except CorruptFileError as error:
            bad.append(Problem(key, str(error)))
        else:
            stem = _name(key).removesuffix(".json")
            if stem != "_manifest" and stem != f"_manifest-{hashlib.sha256(data).hexdigest()[:8]}":
                bad.append(Problem(key, f"{store.locate(key)} must hold what the digest in its name says"))
    return manifests, bad


def _check_listed(store: Store, record: ShardRecord) -> Problem | None:
    try:
        verified_bytes(store, record)
    except CorruptFileError as error:
        return Problem(record.key, str(error))
    return None


def _check_name(store: Store, key: str, name: tuple[int, str]) -> Problem | None:
    found = hashlib.sha256(store.read_bytes(key)).hexdigest()
    if found.startswith(name[1]):
        return None
    return Problem(
        key, f"{store.locate(key)} must have a sha256 that begins with {name[1]}, got {found}; delete it"
    )


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _is_manifest(key: str) -> bool:
    return _name(key) == MANIFEST or (_name(key).startswith("_manifest-") and key.endswith(".json"))
