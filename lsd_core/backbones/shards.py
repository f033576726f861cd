"""Large backbones on the store: safetensors files named by their content, and an index that lists them.

The folder of a fingerprint holds `<sha256>.safetensors` and `model.safetensors.index.json`, whose `weight_map` says
which file holds each tensor; name, configuration and notes stand there too. The index is written last, so a
publication is whole or not there.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load_file as map_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from lsd_core.errors import InputError, Unreachable
from lsd_core.numerics.canonical import canonical_json
from lsd_core.storage.sealed import read_sealed, write_sealed
from lsd_core.storage.store import Store
from lsd_core.storage.tensorfile import TensorFile

SHARD_BYTES = 5 * 10**9
"""Of tensors in one file, unless a single tensor has more."""
INDEX = "model.safetensors.index.json"
_SHARD = re.compile(r"[0-9a-f]{64}\.safetensors", re.ASCII)


def parts(tensors: dict[str, Tensor], limit: int) -> Iterator[dict[str, Tensor]]:
    """The tensors by name, in groups of at most `limit` bytes."""
    part, size = dict[str, Tensor](), 0
    for name in sorted(tensors):
        if part and size + tensors[name].nbytes > limit:
            yield part
            part, size = {}, 0
        part[name] = tensors[name]
        size += tensors[name].nbytes
    yield part


def write(store: Store, folder: str, file: TensorFile, limit: int) -> None:
    """Publish shards, one at a time in memory, and then their index."""
    weight_map = dict[str, str]()
    for part in parts(file.tensors, limit):
        data = save_tensors({name: tensor.detach().cpu().contiguous() for name, tensor in part.items()})
        shard = f"{hashlib.sha256(data).hexdigest()}.safetensors"
        store.write_bytes(f"{folder}/{shard}", data)
        weight_map |= dict.fromkeys(part, shard)
    described = {
        "name": file.name,
        "config": canonical_json(file.config),
        "notes": canonical_json(file.notes),
    }
    write_sealed(store, f"{folder}/{INDEX}", {"metadata": described, "weight_map": weight_map})


def read_index(store: Store, folder: str) -> dict[str, Any]:
    """The index of a publication, whose shards have names of shards; FileNotFoundError where there is none."""
    key = f"{folder}/{INDEX}"
    if not store.exists(key):
        raise FileNotFoundError(key)
    index = read_sealed(store, key)
    names = index.get("weight_map")
    shards = names.values() if isinstance(names, dict) else ()
    if not shards or "metadata" not in index or not all(_SHARD.fullmatch(str(name)) for name in shards):
        rule = "hold metadata and weight_map, the shard of each tensor"
        raise InputError(store.locate(key), rule, ", ".join(sorted(index)) or "nothing")
    return index


def damage(store: Store, folder: str) -> str | None:
    """What is wrong with a publication, whose files' names are their digests."""
    key = f"{folder}/{INDEX}"
    try:
        for shard in sorted(set(read_index(store, folder)["weight_map"].values())):
            key = f"{folder}/{shard}"
            data = store.read_bytes(key)
            if f"{hashlib.sha256(data).hexdigest()}.safetensors" != shard:
                return f"{store.locate(key)} must have the content of its name"
    except FileNotFoundError:
        return f"{store.locate(key)} must exist"
    except Unreachable:
        raise
    except InputError as error:
        return str(error)
    return None


def download(store: Store, folder: str, cached: Path) -> TensorFile:
    """The publication, its shards copied into a folder on this machine if they are not there, and mapped."""
    index = read_index(store, folder)
    if cached.is_symlink():
        cached.unlink()  # whatever it leads to is not the cache's
    cached.mkdir(parents=True, exist_ok=True)
    tensors = dict[str, Tensor]()
    for shard in sorted(set(index["weight_map"].values())):
        key, path = f"{folder}/{shard}", cached / shard
        if not path.is_file():
            scratch = path.with_suffix(".part")
            scratch.unlink(missing_ok=True)  # what a killed download left, or a link to somewhere else
            store.download(key, scratch)
            with scratch.open("rb") as file:
                found = f"{hashlib.file_digest(file, 'sha256').hexdigest()}.safetensors"
            if found != shard:
                scratch.unlink()
                raise InputError(store.locate(key), "have the content of its name", found)
            scratch.replace(path)
        try:
            tensors |= map_tensors(path)
        except (safetensors.SafetensorError, OSError) as error:
            raise InputError(store.locate(key), "be a whole safetensors file", repr(error)) from None
    return TensorFile.described(index["metadata"], tensors, store.locate(f"{folder}/{INDEX}"))
