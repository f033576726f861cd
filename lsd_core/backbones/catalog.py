"""The backbones that ship with us, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from lsd_core.backbones import storage
from lsd_core.backbones.protocol import Backbone
from lsd_core.errors import InputError
from lsd_core.tasks import countdown


@dataclass(frozen=True, kw_only=True)
class BackboneEntry:
    """A backbone that needs no download, and the task it is judged on."""

    task: str
    """Name of the task, as in `tasks.catalog`."""
    description: str
    """One line for `--help` and the registry."""
    make: Callable[[str], Backbone]
    """Builds it from its name."""


def _shipped(name: str) -> Backbone:
    file = resources.files("lsd_core.backbones").joinpath("weights", f"{name}.safetensors")
    if not file.is_file():
        raise InputError("backbone", "have its weights installed", name, f"train them: lsd train {name}")
    return storage.from_bytes(file.read_bytes(), str(file))


def _countdown(kind: str, length: int) -> BackboneEntry:
    if kind == "markov":
        return BackboneEntry(
            task="countdown",
            description=f"exact conditionals of countdown, length {length}: an oracle without weights",
            make=lambda name: countdown.exact_backbone(name, length),
        )
    text = {"sedd": "SEDD-type, time-conditioned log-scores", "radd": "RADD-type, time-free x0 law"}[kind]
    return BackboneEntry(task="countdown", description=f"countdown, length {length}: {text}", make=_shipped)


BACKBONES: dict[str, BackboneEntry] = {
    "countdown": _countdown("sedd", 64),
    "countdown-radd": _countdown("radd", 64),
    "countdown-exact": _countdown("markov", 64),
    "countdown-256": _countdown("sedd", 256),
    "countdown-256-radd": _countdown("radd", 256),
    "countdown-256-exact": _countdown("markov", 256),
}


def get_entry(name: str) -> BackboneEntry:
    """The entry of that name; an unknown name lists the known ones."""
    if name not in BACKBONES:
        raise InputError("backbone", f"be one of {', '.join(BACKBONES)}, or a .safetensors file", name)
    return BACKBONES[name]


@cache
def load_backbone(name: str) -> Backbone:
    """A shipped backbone by name, or one from a local .safetensors file."""
    if name.endswith(".safetensors"):
        return storage.load_file(Path(name))
    return get_entry(name).make(name)


def task_of(backbone: Backbone) -> str:
    """What a backbone's samples are judged on: as the catalog says, or else its own configuration.

    A file that says nothing is of `lsd train countdown` if it has that task's tokens; anything else is judged
    as sequences of whatever it may be.
    """
    if backbone.name in BACKBONES:
        return BACKBONES[backbone.name].task
    silent = "countdown" if backbone.process.num_tokens == countdown.NUM_VALUES else "sequences"
    return str(backbone.config.get("task", silent))
