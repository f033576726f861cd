"""Backbone families by name: how a published checkpoint is recognised and laid out, and how the network is built."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from lsd_core.backbones.layout import Fields, Layout
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.reading import Reading
from lsd_core.plugins import Registry, instance_of


@dataclass(frozen=True, kw_only=True)
class Published:
    """The layout of a family's published checkpoints."""

    name: str
    """What they are called, such as `SEDD`."""
    recognises: Callable[[Fields, set[str]], bool]
    """(published configuration, names of its tensors) -> whether the checkpoint is one of them."""
    layout: Callable[[Fields], Layout]
    """Published configuration -> our configuration, and what stands before our names."""
    expected: Callable[[dict[str, Any]], Mapping[str, Tensor]]
    """Our configuration -> names and shapes of its tensors, without memory."""


@dataclass(frozen=True, kw_only=True)
class Folder:
    """Reader of folders that a family does not lay out by tensor names alone."""

    recognises: Callable[[Path], bool]
    """Whether a folder holds a network of the family."""
    load: Callable[[Path, str, Mapping[str, str]], AnyBackbone]
    """(folder, name, options of the address) -> the frozen backbone."""
    outline: Callable[[Path, str, Mapping[str, str]], AnyBackbone] | None = None
    """The same from a folder without weights: a network on the meta device, to plan with."""
    options: tuple[str, ...] = ()
    """Options of an address, `?NAME=VALUE`, that it takes."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """Backbones that one file knows how to build; Ray workers build them from the installed package."""

    name: str
    """What `config["family"]` says."""
    version: int = 1
    """Raised when its outputs change."""
    build: Callable[[str, dict[str, Any], dict[str, Tensor]], AnyBackbone]
    """(name, our configuration, tensors) -> the frozen backbone; raises InputError for tensors that do not fit."""
    published: Published | None = None
    """Its published checkpoints, if their layout is known."""
    folder: Folder | None = None
    """How folders of its networks are read, if they are more than tensors and a configuration."""
    reading: Reading | None = None
    """How the output of a diffusion transformer is read, if the network is one."""


FAMILIES: Registry[Family] = Registry("lsd.backbones", instance_of(Family))
