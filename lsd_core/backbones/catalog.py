"""Backbones by name: those that ship with us, the published ones, and any file, folder or hub id."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from lsd_core.backbones import address, imported, storage
from lsd_core.backbones import countdown_chain as countdown
from lsd_core.backbones.antibody import antibody
from lsd_core.backbones.family import FAMILIES
from lsd_core.backbones.hub import cached_hub, fetch_hub
from lsd_core.backbones.lists import lists_exact
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.published import load_published
from lsd_core.errors import InputError
from lsd_core.numerics.names import BACKBONE
from lsd_core.processes import Process, Uniform
from lsd_core.storage.home import expanded, weights_dir

EARLIER = "?body_dtype=bfloat16"  # how transformers that ship were run once


@dataclass(frozen=True, kw_only=True)
class BackboneEntry:
    """A backbone that has a name, and the task it is judged on."""

    task: str
    """Name of the task, as in `tasks.catalog`."""
    description: str
    """One line for `--help` and the registry."""
    make: Callable[[str], AnyBackbone]
    """Builds it from its name."""
    earlier: str | None = None
    """Options of the address under which cards of earlier versions know it."""


def _shipped(name: str) -> AnyBackbone:
    """A network that ships with us, its body in float32, which every processor computes fast.

    The transformers' files say bfloat16, in which they were trained: `?body_dtype=bfloat16` runs them so. The
    files, and with them the fingerprints on earlier cards, stay as they are.
    """
    file = resources.files("lsd_core.backbones").joinpath("weights", f"{name}.safetensors")
    if not file.is_file():
        task = name.partition("-")[0]
        raise InputError("backbone", "have its weights installed", name, f"train them: lsd train {task}")
    stored = storage.from_bytes(file.read_bytes(), str(file))
    return storage.with_body_dtype(stored, "float32") if "body_dtype" in stored.config else stored


def _countdown(kind: str, length: int) -> BackboneEntry:
    if kind == "markov":
        return BackboneEntry(
            task="countdown",
            description=f"exact conditionals of countdown, length {length}: an oracle without weights",
            make=lambda name: countdown.exact_backbone(name, length),
        )
    text = {"sedd": "SEDD-type, time-conditioned log-scores", "radd": "RADD-type, time-free x0 distribution"}[
        kind
    ]
    return _trained("countdown", f"countdown, length {length}: {text}", EARLIER)


def _scattered(length: int, num_values: int) -> BackboneEntry:
    return BackboneEntry(
        task="countdown",
        description=f"exact conditionals of countdown from {num_values}, its {length} positions permuted: an oracle",
        make=lambda name: countdown.scattered_backbone(name, length, num_values),
    )


def _noisy(process: Process, length: int) -> BackboneEntry:
    return BackboneEntry(
        task="countdown",
        description=f"exact posteriors of countdown under {process.kind} noise, length {length}: an oracle",
        make=lambda name: countdown.exact_noisy_backbone(name, length, process),
    )


def _lists(size: int) -> BackboneEntry:
    return BackboneEntry(
        task="lists",
        description=f"exact conditionals of operations on lists of {size} values: an oracle without weights",
        make=lambda name: lists_exact(name, size, num_values=16),
    )


def _trained(task: str, description: str, earlier: str | None = None) -> BackboneEntry:
    return BackboneEntry(task=task, description=description, make=_shipped, earlier=earlier)


def _published(repository: str, description: str) -> BackboneEntry:
    """Weights that a person downloads: in the weights folder, or already in the hub's cache."""

    def make(name: str) -> AnyBackbone:
        folder = weights_dir() / name
        found = folder if folder.is_dir() else cached_hub(repository)
        if found is None:
            remedy = (
                f"download them with: hf download {repository} --local-dir {folder}; "
                f"or run with --backbones hf://{repository}, or with a folder or file that has them"
            )
            raise InputError(f"backbone {name}", "have its weights", f"nothing in {folder}", remedy)
        return load_published(found, name)

    return BackboneEntry(task="openwebtext", description=f"{description} ({repository})", make=make)


def _cifar10() -> BackboneEntry:
    """tauLDR's network is on no hub: a person puts its two files into the weights folder."""

    def make(name: str) -> AnyBackbone:
        folder = weights_dir() / name
        if not folder.is_dir():
            remedy = (
                "download ckpt_0001999999.pt and config_001.yaml of CIFAR-10 from where the readme of the "
                f"repository andrew-cr/tauLDR points, and put both into {folder}; or run with --backbones FILE"
            )
            raise InputError(f"backbone {name}", "have its weights", f"nothing in {folder}", remedy)
        return load_published(folder, name)

    return BackboneEntry(task="cifar10", description="tauLDR, 32 x 32 colour images as a CTMC", make=make)


HUB = {
    "sedd-small": ("louaaron/sedd-small", "SEDD absorb, 12 blocks, GPT-2 tokens, length 1024"),
    "sedd-medium": ("louaaron/sedd-medium", "SEDD absorb, 24 blocks, GPT-2 tokens, length 1024"),
    "radd": ("JingyangOu/radd-t-dce", "RADD trained on t-DCE, GPT-2 tokens, length 1024"),
    "radd-lambda": ("JingyangOu/radd-lambda-dce", "RADD trained on lambda-DCE, GPT-2 tokens, length 1024"),
    "mdlm": ("kuleshov-group/mdlm-owt", "MDLM, GPT-2 tokens, length 1024"),
    "duo": ("s-sahoo/duo", "Duo, uniform noise, GPT-2 tokens, length 1024"),
}

BACKBONES: dict[str, BackboneEntry] = {
    "countdown": _countdown("sedd", 64),
    "countdown-radd": _countdown("radd", 64),
    "countdown-exact": _countdown("markov", 64),
    "countdown-256": _countdown("sedd", 256),
    "countdown-256-radd": _countdown("radd", 256),
    "countdown-256-exact": _countdown("markov", 256),
    "countdown-scattered": _scattered(32, 16),
    "countdown-uniform-exact": _noisy(Uniform(countdown.NUM_VALUES), 64),
    "countdown-gaussian-exact": _noisy(countdown.ORDINAL, 64),
    "lists": _lists(8),
    "lists-16": _lists(16),
    "text-radd": _trained("text", "English prose by characters, length 128: RADD-type", EARLIER),
    "text-sedd": _trained("text", "English prose by characters, length 128: SEDD-type", EARLIER),
    "sudoku-radd": _trained("sudoku", "sudoku of 6 x 6 cells, solved grids: RADD-type"),
    "digits-gaussian": _trained("digits", "8 x 8 images of 17 grey levels under gaussian noise"),
    "digits-uniform": _trained("digits", "8 x 8 images of 17 grey levels under uniform noise"),
    "cifar10-ctmc": _cifar10(),
    "antibody": BackboneEntry(
        task="antibody",
        description="AntiBERTy, a BERT of antibody sequences, length 120 (of the extra [antibody])",
        make=antibody,
    ),
} | {name: _published(*where) for name, where in HUB.items()}


def get_entry(name: str) -> BackboneEntry:
    """The entry of that name; an unknown name lists the known ones."""
    if name not in BACKBONES:
        places = "hf://OWNER/NAME, python:MODULE:FACTORY, or an existing folder or file"
        rule = f"be one of {', '.join(BACKBONES)}, {places}"
        raise InputError("backbone", rule, name)
    return BACKBONES[name]


def addresses_of(name: str) -> tuple[str, ...]:
    """The addresses under which a name of the catalog is or was run; none for other names."""
    entry = BACKBONES.get(name)
    if entry is None:
        return ()
    return (name,) if entry.earlier is None else (name, f"{name}{entry.earlier}")


def load_backbone(name: str) -> AnyBackbone:
    """A backbone by its address: a name, hf://OWNER/NAME[@REVISION], python:MODULE:FACTORY, a folder or a weight file.

    `?body_dtype=float32` after it runs the body in that precision. Loaded once, and again where the file was replaced.
    Raises InputError.
    """
    return _load_once(name, _stamp(address.parse(name).where))


@cache
def _load_once(name: str, stamp: tuple[int, ...]) -> AnyBackbone:
    place = address.parse(name)
    backbone = _load(place)
    BACKBONE.check(f"name of backbone {name}", backbone.name)
    return backbone if place.body_dtype is None else storage.with_body_dtype(backbone, place.body_dtype)


load_backbone.cache_clear = _load_once.cache_clear  # type: ignore[attr-defined]


def _stamp(where: str) -> tuple[int, ...]:
    """Of a file or the files of a folder: others have another."""
    try:
        path = Path(where).expanduser()
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        found = [file.stat() for file in files]
    except (OSError, RuntimeError, ValueError):
        return ()
    return tuple(number for each in found for number in (each.st_ino, each.st_mtime_ns, each.st_size))


def _load(place: address.Address) -> AnyBackbone:
    if place.hub is not None:
        named = {repository: name for name, (repository, _) in HUB.items()}
        return _read(fetch_hub(place.hub, place.revision), named.get(place.hub, place.name), place)
    if place.python is not None:
        _no_options(place)
        return imported.load(place.python)
    path = expanded(place.where)
    if place.where in BACKBONES or not _exists(path):
        entry = get_entry(place.where)
        _no_options(place)
        return entry.make(place.where)
    if path.is_file() and storage.is_ours(path):
        _no_options(place)
        return storage.load_file(path)
    return _read(path, place.name, place)


def _read(path: Path, name: str, place: address.Address) -> AnyBackbone:
    """The network in a folder or file: by the family that reads such folders, or by its published layout."""
    for _, family in FAMILIES.items() if path.is_dir() else ():
        if family.folder is not None and family.folder.recognises(path):
            return family.folder.load(path, name, place.options)
    _no_options(place)
    return load_published(path, name)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file can have
        return False


def _no_options(place: address.Address) -> None:
    if place.options:
        shown = ", ".join(f"{option}={value}" for option, value in place.options.items())
        rule = "be left out: the network's own files say it"
        raise InputError(f"options of {place.where}", rule, shown)
