"""Weights at rest: a safetensors file that carries its own name and configuration. Nothing is pickled."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load as load_tensors
from safetensors.torch import load_file as map_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from lsd_core.errors import LONGEST, InputError
from lsd_core.numerics.canonical import canonical_json
from lsd_core.numerics.names import BACKBONE
from lsd_core.numerics.plain_text import parse_json

MOST_HEADER = 100_000_000  # bytes, as the format has it


@dataclass(frozen=True, kw_only=True, eq=False)
class TensorFile:
    """The content of such a file."""

    name: str
    config: dict[str, Any]
    """What builds the network, beside the tensors."""
    tensors: dict[str, Tensor]
    notes: dict[str, Any] = field(default_factory=dict)
    """How the weights came to be."""

    def to_bytes(self) -> bytes:
        """The file; equal content gives equal bytes."""
        metadata = {"name": self.name, "config": canonical_json(self.config)}
        if self.notes:
            metadata["notes"] = canonical_json(self.notes)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.tensors.items()}
        return _canonical_header(save_tensors(tensors, metadata))

    @staticmethod
    def from_bytes(data: bytes, source: str, what: str = "backbone") -> "TensorFile":
        """Read what `to_bytes` wrote; anything else is an InputError that begins with `source`."""
        return _read(lambda: _metadata(data), lambda: load_tensors(data), source, what)

    @staticmethod
    def mapped(path: Path, source: str) -> "TensorFile":
        """The same of a file on this machine, its tensors mapped: processes that map it share its memory.

        Such a file may be replaced, and must not be changed in place.
        """
        return _read(lambda: _metadata(_head(path)), lambda: map_tensors(path), source, "backbone")

    @staticmethod
    def described(metadata: dict[str, str], tensors: dict[str, Tensor], source: str) -> "TensorFile":
        """Tensors whose metadata are kept apart from them."""
        return _read(lambda: metadata, lambda: tensors, source, "backbone")


def _read(
    read_metadata: Callable[[], dict[str, str]],
    read_tensors: Callable[[], dict[str, Tensor]],
    source: str,
    what: str,
) -> TensorFile:
    """The file of these two parts, or InputError; its name is checked before the tensors are read."""
    try:
        metadata = read_metadata()
        config = parse_json(metadata["config"], "configuration")
        notes = parse_json(metadata.get("notes", "{}"), "notes")
        if not isinstance(config, dict) or not isinstance(notes, dict):
            raise TypeError("no configuration")
        name = BACKBONE.check(f"name in {source}", metadata["name"])
        return TensorFile(name=name, config=config, tensors=read_tensors(), notes=notes)
    except (safetensors.SafetensorError, KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InputError) and error.field.startswith("name in "):
            raise
        reason = str(error) if isinstance(error, InputError) else repr(error)
        remedy = "write it with `lsd train`, or fetch it from the store again"
        raise InputError(
            source, f"be a whole {what} in safetensors", f"a file with {reason[:LONGEST]}", remedy
        ) from None


def _head(path: Path) -> bytes:
    """The header of a file, and the eight bytes before it that say its length."""
    with path.open("rb") as file:
        size = file.read(8)
        return size + file.read(min(int.from_bytes(size, "little"), MOST_HEADER))


def _metadata(data: bytes) -> dict[str, str]:
    size = int.from_bytes(data[:8], "little")
    try:
        metadata: dict[str, str] = json.loads(data[8 : 8 + size])["__metadata__"]
    except RecursionError:
        raise ValueError("a header that is nested too deeply") from None
    return metadata


def _canonical_header(data: bytes) -> bytes:
    """The same file with a sorted header, since the library writes its metadata in any order: equal bytes."""
    size = int.from_bytes(data[:8], "little")
    header = canonical_json(json.loads(data[8 : 8 + size])).encode()
    header += b" " * (-len(header) % 8)  # tensors begin at a multiple of eight
    return b"".join((len(header).to_bytes(8, "little"), header, memoryview(data)[8 + size :]))  # one copy


def check_tensors(
    what: str, tensors: dict[str, Tensor], expected: dict[str, Tensor], *, prefix: str = "", source: str = ""
) -> None:
    """Raise InputError that names the first missing and unexpected tensors, or the first wrong one.

    The names are those expected with `prefix` before them; `source` names the file they come from.
    """
    known, where = {prefix + key: tensor for key, tensor in expected.items()}, f" in {source}" * bool(source)
    missing, unexpected = sorted(set(known) - set(tensors)), sorted(set(tensors) - set(known))
    if missing or unexpected:
        shown = f"missing {missing[:1] or 'none'}, unexpected {unexpected[:1] or 'none'}"
        raise InputError(f"tensors{where}", f"be those of {what}", shown)
    for key, tensor in tensors.items():
        if tensor.shape != known[key].shape:
            rule = f"have shape {tuple(known[key].shape)}"
            raise InputError(f"tensor {key}{where}", rule, tuple(tensor.shape))
        if not tensor.is_floating_point():
            raise InputError(f"tensor {key}{where}", "hold floating-point numbers", str(tensor.dtype))
