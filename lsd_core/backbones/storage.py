"""Backbones at rest: one safetensors file that carries its own configuration. Nothing is pickled."""

from pathlib import Path
from typing import Any

import safetensors
from torch import Tensor

from lsd_core.backbones.adapted import AdaptedBackbone
from lsd_core.backbones.family import FAMILIES
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError
from lsd_core.numerics.names import COMPONENT
from lsd_core.storage.tensorfile import TensorFile

SIZES = ("dim", "num_blocks", "num_heads", "cond_dim", "width", "level_dim")
MOST_SIZE = 2**20
"""Of anything in a configuration: no network of this kind comes near."""
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


def file_of(backbone: AnyBackbone, notes: dict[str, Any] | None = None) -> TensorFile:
    """What is stored of a backbone: its tensors, its name, its configuration and training notes."""
    if backbone.family == AdaptedBackbone.family:
        rule, remedy = "be rebuilt from its tensors alone", "use it in the process that made it"
        raise InputError(f"backbone {backbone.name}", rule, "a network of your own code", remedy)
    task = getattr(backbone, "task", None)
    noted = ({} if task is None else {"task": task}) | (notes or {})
    return TensorFile(name=backbone.name, config=backbone.config, tensors=backbone.tensors(), notes=noted)


def to_bytes(backbone: AnyBackbone, notes: dict[str, Any] | None = None) -> bytes:
    """Safetensors bytes: the tensors, and as metadata the name, the configuration and training notes."""
    return file_of(backbone, notes).to_bytes()


def from_bytes(data: bytes, source: str) -> AnyBackbone:
    """The backbone in a file written by `to_bytes`; `source` names it in errors."""
    return from_file(TensorFile.from_bytes(data, source), source)


def from_file(file: TensorFile, source: str) -> AnyBackbone:
    """The backbone that a file describes; `source` names it in errors."""
    try:
        _check_sizes(file)
        backbone = build(file.name, file.config, file.tensors)
        vocabulary = Vocabulary.of(file.config)
        if vocabulary is not None and len(vocabulary.tokens) != backbone.process.num_tokens:
            rule = f"write each of the {backbone.process.num_tokens} tokens"
            raise InputError(f"vocabulary in {source}", rule, f"{len(vocabulary.tokens)} of them")
        task = file.notes.get("task")
        return declaring(backbone, None if task is None else COMPONENT.check(f"task in {source}", task))
    except InputError:
        raise
    except Exception as error:  # whatever a damaged configuration leads to
        rule, remedy = "describe a network that can be built", "write it with `lsd train`"
        raise InputError(f"configuration in {source}", rule, repr(error), remedy) from None


def _check_sizes(file: TensorFile) -> None:
    """Raise InputError for a configuration whose sizes are none, or are not those of the tensors beside it."""
    for name, value in file.config.items():
        sized = name == "length" or (name in SIZES and value is not None)
        if sized and (type(value) is not int or not 1 <= value <= MOST_SIZE):
            raise InputError(f"backbone config.{name}", f"be an integer in 1..{MOST_SIZE}", value)
    blocks = file.config.get("num_blocks", 0)
    if blocks > len(file.tensors):
        raise InputError("backbone config.num_blocks", "be those whose tensors are in the file", blocks)


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
