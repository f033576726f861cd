"""The manifest: the list of shards a teacher's data set consists of, published last.

`_manifest.json` is what readers trust. Behind it, every manifest ever published stays as
`_manifest-<sha8>.json`, and the current one is their union, with the smallest digest where two writers
raced for an index. The union does not depend on who came first, and each writer looks again after it
wrote, so two of them end in the same place without any help from the server, and neither loses a shard.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lsd_core.errors import InputError
from lsd_core.numerics.canonical import canonical_json
from lsd_core.numerics.names import FINGERPRINT
from lsd_core.numerics.plain_text import parse_json
from lsd_core.storage.store import Store
from lsd_core.trajectories.prefetch import ahead
from lsd_core.trajectories.spec import TeacherSpec
from lsd_core.trajectories.write import ShardRecord, parse_shard_name

MANIFEST = "_manifest.json"
MANIFEST_VERSION = 1
REMEDY = "run the same `lsd grid` again: it makes exactly what is missing or damaged"


class CorruptFileError(InputError):
    """A published file that is missing or is not what its name or manifest says."""


@dataclass(frozen=True)
class Manifest:
    """A teacher's shards, by index."""

    spec: TeacherSpec
    shards: tuple[ShardRecord, ...]

    @property
    def rows(self) -> int:
        """Trajectories in all shards."""
        return sum(shard.rows for shard in self.shards)

    @property
    def bytes(self) -> int:
        """Size of all shards."""
        return sum(shard.bytes for shard in self.shards)

    @cached_property
    def by_index(self) -> dict[int, ShardRecord]:
        """The shards by their number."""
        return {shard.index: shard for shard in self.shards}

    def to_json(self) -> str:
        """Canonical JSON; files are named relative to the manifest, so a folder can be moved or copied."""
        shards = [
            {
                "index": s.index,
                "file": s.key.rpartition("/")[2],
                "rows": s.rows,
                "bytes": s.bytes,
                "sha256": s.sha256,
            }
            for s in self.shards
        ]
        return canonical_json(
            {
                "schema_version": MANIFEST_VERSION,
                "spec": self.spec.to_dict(),
                "spec_hash": self.spec.hash,
                "shards": shards,
            }
        )


def parse_manifest(data: bytes, key: str, store: Store) -> Manifest:
    """The manifest in a file; raises CorruptFileError if it is none."""
    folder = key.rpartition("/")[0]
    try:
        content = parse_json(data, store.locate(key))
        if content["schema_version"] != MANIFEST_VERSION:
            raise ValueError(f"schema_version {content['schema_version']}")
        spec = TeacherSpec.from_dict(content["spec"])
        if spec.hash != content["spec_hash"]:
            raise ValueError(f"spec_hash {content['spec_hash']} of a spec with hash {spec.hash}")
        return Manifest(spec, tuple(sorted(_record(entry, folder, spec) for entry in content["shards"])))
    except (KeyError, TypeError, ValueError) as error:  # InputError is a ValueError
        reason = f"{type(error).__name__}: {error}"
        rule = f"be a manifest of version {MANIFEST_VERSION}"
        raise CorruptFileError(store.locate(key), rule, reason, REMEDY) from None


def load_manifest(store: Store, spec: TeacherSpec) -> Manifest:
    """What is published of a teacher; raises CorruptFileError if there is none or it is damaged."""
    key = f"{spec.folder}/{MANIFEST}"
    try:
        data = store.read_bytes(key)
    except FileNotFoundError:
        raise CorruptFileError(store.locate(key), "exist", "no file", REMEDY) from None
    manifest = parse_manifest(data, key, store)
    if manifest.spec != spec:
        rule = f"describe the teacher {spec.hash} of its folder"
        raise CorruptFileError(store.locate(key), rule, manifest.spec.hash, REMEDY)
    return manifest


def publish_manifest(store: Store, spec: TeacherSpec, records: Iterable[ShardRecord]) -> Manifest:
    """Add committed shards to what is published, and return all that is.

    Call it last, with shards that are on the store. Publishing the same again changes nothing.
    """
    new = Manifest(spec, tuple(sorted(set(records))))
    known = _history(store, spec)
    if not set(new.shards) <= set(_union(store, spec, known.values()).shards) or not known:
        data = new.to_json().encode()
        store.write_bytes(f"{spec.folder}/_manifest-{hashlib.sha256(data).hexdigest()[:8]}.json", data)
        known = _history(store, spec)
    while True:
        union = _union(store, spec, known.values())
        _write_if_different(store, f"{spec.folder}/{MANIFEST}", union.to_json().encode())
        now = _history(store, spec)
        if now.keys() == known.keys():
            return union
        known = now  # somebody published meanwhile


def committed(store: Store, spec: TeacherSpec, wanted: range | None = None) -> dict[int, ShardRecord]:
    """The intact shards of a teacher, published or not, by index: what a resumed run need not make again.

    Every shard, or every one whose index is `wanted`, is read and hashed. Where an index has several files the
    published one counts, and before anything is published the one with the smallest digest.
    """
    keys = store.list(spec.folder)
    published = _union(store, spec, _history(store, spec, keys).values()).by_index
    found: dict[int, ShardRecord] = {}
    for record in ahead(lambda pair: _intact(store, spec, *pair), _shards(keys, wanted)):
        if record is not None:
            listed, best = published.get(record.index), found.get(record.index)
            if record == listed or best is None or (best != listed and record < best):
                found[record.index] = record
    return dict(sorted(found.items()))


def _shards(keys: Iterable[str], wanted: range | None) -> Iterator[tuple[str, tuple[int, str]]]:
    """Keys of shards with what their names say."""
    for key in keys:
        name = parse_shard_name(key.rpartition("/")[2])
        if name and (wanted is None or name[0] in wanted):
            yield key, name


def _intact(store: Store, spec: TeacherSpec, key: str, name: tuple[int, str]) -> ShardRecord | None:
    """The record of a shard whose content bears out its name, else None."""
    try:
        data = store.read_bytes(key)
    except FileNotFoundError:  # cleared away since it was listed
        return None
    sha256 = hashlib.sha256(data).hexdigest()
    return ShardRecord(name[0], sha256, key, spec.shard_rows, len(data)) if sha256[:8] == name[1] else None


def is_intact(store: Store, record: ShardRecord) -> bool:
    """True if the file is there with the content its record says."""
    try:
        return hashlib.sha256(store.read_bytes(record.key)).hexdigest() == record.sha256
    except FileNotFoundError:
        return False


def _history(store: Store, spec: TeacherSpec, keys: Iterable[str] | None = None) -> dict[str, Manifest]:
    """Every readable manifest ever published of a teacher, by key; of its folder as it is, or as it was listed."""
    manifests = {}
    for key in store.list(spec.folder) if keys is None else keys:
        if key.rpartition("/")[2].startswith("_manifest-"):
            try:
                manifest = parse_manifest(store.read_bytes(key), key, store)
            except (CorruptFileError, FileNotFoundError):
                continue  # `verify` names it; the shards it lists are found by `committed`
            if manifest.spec == spec:
                manifests[key] = manifest
    return manifests


def _union(store: Store, spec: TeacherSpec, manifests: Iterable[Manifest]) -> Manifest:
    """All shards of all manifests; of several for one index, the smallest digest whose file is intact."""
    rivals: dict[int, set[ShardRecord]] = {}
    for manifest in manifests:
        for record in manifest.shards:
            rivals.setdefault(record.index, set()).add(record)
    return Manifest(spec, tuple(_winner(store, sorted(rivals[index])) for index in sorted(rivals)))


def _winner(store: Store, records: list[ShardRecord]) -> ShardRecord:
    if len(records) == 1:
        return records[0]
    return next((record for record in records if is_intact(store, record)), records[0])


def _record(entry: dict[str, Any], folder: str, spec: TeacherSpec) -> ShardRecord:
    """A manifest's entry, believed only if it is of the form we write."""
    index, name, rows, size = (entry[field] for field in ("index", "file", "rows", "bytes"))
    sha256 = FINGERPRINT.check("sha256", entry["sha256"])
    counts = all(type(value) is int and value >= 0 for value in (index, rows, size))
    if not counts or parse_shard_name(name) != (index, sha256[:8]) or rows != spec.shard_rows:
        raise ValueError(f"entry {entry}")
    return ShardRecord(index, sha256, f"{folder}/{name}".lstrip("/"), rows, size)


def _write_if_different(store: Store, key: str, data: bytes) -> None:
    try:
        if store.read_bytes(key) == data:
            return
    except FileNotFoundError:
        pass
    store.write_bytes(key, data)
