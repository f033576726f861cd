"""Published checkpoints from a local folder or file: found, recognised, checked, converted, cached.

What comes out is an ordinary backbone; our own safetensors file of a torch checkpoint is kept in the cache, so
that the pickle is opened once.
"""

import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

from lsd_core.backbones import storage
from lsd_core.backbones.checkpoint import INDEX, read_tensors, shard_names
from lsd_core.backbones.family import FAMILIES, Published
from lsd_core.backbones.layout import Fields
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import digest
from lsd_core.numerics.plain_text import parse_json, parse_yaml
from lsd_core.storage.home import cache_dir
from lsd_core.storage.tensorfile import check_tensors

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "checkpoints-meta/checkpoint.pth",
)
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt")
CONFIGS = ("config.json", "config.yaml", ".hydra/config.yaml", "config/*.yaml", "*.yaml", "*.yml")
READER = 2  # moves when a published file would be read differently


def load_published(path: Path, name: str) -> AnyBackbone:
    """The backbone in a published folder or weight file, with averaged (EMA) weights where it keeps them.

    A torch file is opened once: afterwards the copy in the cache is read, if it is there and whole. Raises
    InputError, in one line, for whatever is not such a checkpoint.
    """
    weights = find_weights(path)
    config = find_config(path if path.is_dir() else weights.parent)
    if weights.suffix in (".safetensors", ".json"):
        return convert(weights, config, name)
    key = digest([READER, name, _sha256(weights), _sha256(config)])
    cached = cache_dir() / "published" / f"{key}.safetensors"
    kept = _kept(cached) if cached.is_file() else None
    if kept is not None:
        return kept
    backbone = convert(weights, config, name)
    cached.parent.mkdir(parents=True, exist_ok=True)
    scratch = cached.with_name(f".{uuid.uuid4().hex}")
    scratch.write_bytes(storage.to_bytes(backbone, {"fingerprint": backbone.fingerprint}))
    os.replace(scratch, cached)
    return backbone


def _kept(cached: Path) -> AnyBackbone | None:
    """The backbone in the cache, unless it is damaged, which is not worth a word."""
    data = cached.read_bytes()
    try:
        backbone = storage.from_bytes(data, str(cached))
        return backbone if storage.read_notes(data)["fingerprint"] == backbone.fingerprint else None
    except (InputError, KeyError):
        return None


def convert(weights: Path, config: Path, name: str) -> AnyBackbone:
    """The backbone in a published weight file and its configuration."""
    fields, tensors = Fields(read_config(config), str(config)), read_tensors(weights)
    published = recognise(fields, set(tensors))
    layout = published.layout(fields)
    expected = dict(published.expected(layout.config))
    prefix = layout.prefix_in(tensors, next(iter(expected)))
    check_tensors(
        f"a published {layout.config['family']} network",
        tensors,
        expected,
        prefix=prefix,
        source=str(weights),
    )
    ours = {key.removeprefix(prefix): tensor for key, tensor in tensors.items()}
    return storage.declaring(storage.build(name, layout.config, ours), layout.task)


def find_weights(path: Path) -> Path:
    """The weight file that is meant: the path itself, or the one that its folder holds."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(
            "backbone", "be a known name, hf://OWNER/NAME, or an existing folder or file", str(path)
        )
    for name in WEIGHTS:
        if (path / name).is_file():
            return path / name
    found = sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if len(found) != 1:
        shown = ", ".join(file.name for file in found[:4]) or "none"
        remedy = "name the file" if found else f"put {WEIGHTS[0]} and config.json there"
        raise InputError(f"folder {path}", "hold one weight file", shown, remedy)
    return found[0]


def holds_weights(folder: Path) -> bool:
    """Whether a folder holds a weight file, all shards of it where it is an index."""
    try:
        file = find_weights(folder)
        names = shard_names(file) if file.name.endswith(INDEX) else []
    except InputError:
        return False
    return all((folder / name).is_file() for name in names)


def find_config(folder: Path) -> Path:
    """The configuration in this folder, or above it where this one only sorts checkpoints."""
    for pattern in CONFIGS:
        found = sorted(folder.glob(pattern))
        if found:
            return found[-1]  # config_002.yaml is what config_001.yaml became
    if folder.name.startswith("checkpoint") or folder.name == "archive":
        return find_config(folder.absolute().parent)
    remedy = "put the checkpoint's config.json or .yaml beside it"
    raise InputError(f"folder {folder}", f"hold one of {', '.join(CONFIGS)}", "none", remedy)


def read_config(path: Path) -> dict[str, Any]:
    """A published configuration, JSON or YAML, as plain data."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(str(path), "be readable", str(error)) from None
    parse = parse_json if path.suffix == ".json" else parse_yaml
    record = parse(data, str(path), "be JSON or plain YAML")
    if not isinstance(record, dict):
        raise InputError(str(path), "be a mapping of fields", type(record).__name__)
    return record


def recognise(fields: Fields, names: set[str]) -> Published:
    """The layout of this checkpoint, by its configuration and tensor names."""
    published = [family.published for _, family in FAMILIES.items() if family.published is not None]
    for each in published:
        if each.recognises(fields, names):
            return each
    shown = ", ".join(sorted(map(str, fields.record))[:8]) or "no fields"
    known = ", ".join(each.name for each in published)
    raise InputError(fields.source, f"configure a {known} network", shown)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
