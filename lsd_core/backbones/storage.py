"""Backbones at rest: one safetensors file that carries its own configuration. Nothing is pickled."""

import json
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from lsd_core.backbones import ddit_backbone
from lsd_core.backbones.markov import MarkovExact
from lsd_core.backbones.protocol import Backbone
from lsd_core.canonical import canonical_json
from lsd_core.errors import InputError


def build(name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> Backbone:
    """The backbone of the configured family."""
    if config.get("family") == MarkovExact.family:
        return MarkovExact(name, config, tensors)
    return ddit_backbone.build(name, config, tensors)


def to_bytes(backbone: Backbone, notes: dict[str, Any] | None = None) -> bytes:
    """Safetensors bytes: the tensors, and as metadata the name, the configuration and training notes."""
    metadata = {"name": backbone.name, "config": canonical_json(backbone.config)}
    if notes:
        metadata["notes"] = canonical_json(notes)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in backbone.tensors().items()}
    return _canonical_header(save_tensors(tensors, metadata))


def _canonical_header(data: bytes) -> bytes:
    """The same file with a sorted header, since the library writes its metadata in any order: equal bytes."""
    size = int.from_bytes(data[:8], "little")
    header = canonical_json(json.loads(data[8 : 8 + size])).encode()
    header += b" " * (-len(header) % 8)  # tensors begin at a multiple of eight
    return len(header).to_bytes(8, "little") + header + data[8 + size :]


def from_bytes(data: bytes, source: str) -> Backbone:
    """The backbone in a file written by `to_bytes`; `source` names it in errors."""
    try:
        header_size = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + header_size])["__metadata__"]
        config = json.loads(metadata["config"])
        if not isinstance(config, dict):
            raise TypeError("no configuration")
        return build(metadata["name"], config, load_tensors(data))
    except (
        safetensors.SafetensorError,
        KeyError,
        TypeError,
        UnicodeDecodeError,
        json.JSONDecodeError,
    ) as error:
        remedy = "write it with `lsd train`, or fetch it from the store again"
        raise InputError(
            source, "be a whole backbone in safetensors", f"a file with {error!r}", remedy
        ) from None


def read_notes(data: bytes) -> dict[str, Any]:
    """The training notes of such a file: how the weights came to be."""
    header_size = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + header_size])["__metadata__"]
    return dict(json.loads(metadata.get("notes", "{}")))


def load_file(path: str | Path) -> Backbone:
    """The backbone in a local file."""
    path = Path(path)
    if not path.is_file():
        raise InputError("backbone", "be a known name or an existing .safetensors file", str(path))
    return from_bytes(path.read_bytes(), str(path))
