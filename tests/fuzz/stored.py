"""Files of a store, each read as the program reads it: manifests, tables, champions, templates and others."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import torch

from flows.pipeline.champions import read_champions
from flows.pipeline.teacher_batches import _read as read_batch
from lsd_core.candidates.reading import read_across, read_learned, read_measurement, read_spec
from lsd_core.candidates.verify import damaged_cells
from lsd_core.storage.sealed import seal
from lsd_core.storage.store import Store
from lsd_core.trajectories.conditions import TemplateSet, damaged_conditions, read_template_set
from lsd_core.trajectories.manifest import MANIFEST, parse_manifest
from lsd_core.trajectories.verify import verify
from tests.fuzz.outcomes import Case
from tests.fuzz.values import changed, spoiled

Reader = Callable[[Store, str], object]
TEMPLATES = TemplateSet(templates=torch.tensor([[2, 4, 4, 1], [4, 0, 4, 4], [0, 4, 2, 4]]), num_tokens=4)


def _manifest(store: Store, key: str) -> object:
    return parse_manifest(store.read_bytes(key), key, store)


def _fresh(read: Reader) -> Reader:
    """Each input is read anew, not from memory."""
    return lambda store, key: read(Store(store.url), key)


READERS: dict[str, tuple[Reader, ...]] = {
    MANIFEST: (_manifest, lambda store, key: verify(store, "teachers")),
    "table-0.json": (read_learned, read_spec),
    "report-0-T1.json": (_fresh(read_measurement),),
    "report-0-T1.parquet": (
        lambda store, key: read_measurement(Store(store.url), key.replace("parquet", "json")),
    ),
    "report-0-T1-across.parquet": (read_across,),
    "card.json": (lambda store, key: damaged_cells(Store(store.url)),),
    "champions.json": (read_champions,),
    "batch.json": (read_batch,),
    f"{TEMPLATES.digest}.json": (
        lambda store, key: damaged_conditions(store),
        lambda store, key: read_template_set(store, TEMPLATES.digest),
    ),
}


def stored(base: Store, folder: Path, gen: Random, number: int) -> Iterator[Case]:
    """Files of a store that is whole, changed one at a time in a copy of their neighbours."""
    for name, readers in READERS.items():
        keys = [key for key in base.list() if key.endswith(f"/{name}")]
        if not keys:
            continue
        key = keys[0]
        beside = {k: base.read_bytes(k) for k in base.list(key.rpartition("/")[0])}
        for index in range(number):
            copy = Store(str(folder / f"{name}-{index}"))
            data, what = _changed(beside[key], gen, json_=name.endswith(".json"))
            yield Case("stored", f"{name}: {what}", partial(_read, copy, beside | {key: data}, key, readers))


def _read(copy: Store, files: dict[str, bytes], key: str, readers: tuple[Reader, ...]) -> None:
    for each, data in files.items():
        copy.write_bytes(each, data)
    for reader in readers:
        reader(copy, key)


def _changed(data: bytes, gen: Random, json_: bool) -> tuple[bytes, str]:
    if not json_ or gen.random() < 0.3:
        return spoiled(data, gen)
    record: Any
    record, what = changed(json.loads(data), gen)
    if gen.random() < 0.5 and isinstance(record, dict):
        record.pop("sha256", None)
        try:
            record, what = seal(record), f"{what}; sealed"
        except ValueError:
            what = f"{what}; not sealed"
    return json.dumps(record).encode(), what
