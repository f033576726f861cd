"""Backbones at rest: one safetensors file that carries its own configuration. Nothing is pickled."""

from pathlib import Path
from typing import Any

import safetensors
from torch import Tensor

from lsd_core.backbones.adapted import AdaptedBackbone
from lsd_core.backbones.family import FAMILIES
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.storage.tensorfile import TensorFile

INSTALL = "install the package that has the family"


def build(name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> AnyBackbone:
    """The backbone of the configured family."""
    family = str(config.get("family"))
    if family not in FAMILIES:
        raise InputError("backbone config.family", f"be one of {', '.join(FAMILIES)}", family, INSTALL)
    return FAMILIES[family].build(name, config, tensors)


def with_body_dtype(backbone: AnyBackbone, body_dtype: str) -> AnyBackbone:
    """The same tensors with the body in another precision, `float32` for none of its own: another fingerprint."""
    if "body_dtype" not in backbone.config:
        raise InputError("body_dtype", "be left out for a backbone without a network body", backbone.name)
    config = backbone.config | {"body_dtype": body_dtype}
    return declaring(build(backbone.name, config, backbone.tensors()), getattr(backbone, "task", None))


def to_bytes(backbone: AnyBackbone, notes: dict[str, Any] | None = None) -> bytes:
    """Safetensors bytes: the tensors, and as metadata the name, the configuration and training notes."""
    if backbone.family == AdaptedBackbone.family:
        rule, remedy = "be rebuilt from its tensors alone", "use it in the process that made it"
        raise InputError(f"backbone {backbone.name}", rule, "a network of your own code", remedy)
    task = getattr(backbone, "task", None)
    noted = ({} if task is None else {"task": task}) | (notes or {})
    file = TensorFile(name=backbone.name, config=backbone.config, tensors=backbone.tensors(), notes=noted)
    return file.to_bytes()


def from_bytes(data: bytes, source: str) -> AnyBackbone:
    """The backbone in a file written by `to_bytes`; `source` names it in errors."""
    file = TensorFile.from_bytes(data, source)
    try:
        return declaring(build(file.name, file.config, file.tensors), file.notes.get("task"))
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # what a damaged configuration leads to
        rule, remedy = "describe a network that can be built", "write it with `lsd train`"
        raise InputError(f"configuration in {source}", rule, repr(error), remedy) from None


def declaring(backbone: AnyBackbone, task: str | None) -> AnyBackbone:
    """The backbone with the task that its file declares beside the configuration, which is part of its identity."""
    if task is not None and getattr(backbone, "task", task) is None:
        backbone.task = task  # type: ignore[union-attr]
    return backbone


def read_notes(data: bytes) -> dict[str, Any]:
    """The training notes of such a file: how the weights came to be."""
    return TensorFile.from_bytes(data, "file").notes


def is_ours(path: Path) -> bool:
    """Whether a file is one that `to_bytes` wrote, as its metadata say."""
    if path.suffix != ".safetensors":
        return False
    try:
        with safetensors.safe_open(path, "pt") as file:
            return "config" in (file.metadata() or {})
    except (safetensors.SafetensorError, OSError):
        return True  # damaged: `load_file` says how


def load_file(path: str | Path) -> AnyBackbone:
    """The backbone in a local file."""
    path = Path(path)
    if not path.is_file():
        raise InputError("backbone", "be a known name or an existing .safetensors file", str(path))
    return from_bytes(path.read_bytes(), str(path))
