"""Addresses of backbones: a name, hf://OWNER/NAME[@REVISION], python:PACKAGE.MODULE:FACTORY, a folder or a file.

Options follow: `?body_dtype=float32` is the switch to full precision; `?length=120` and `?mask=4` are for masked
language models, whose files leave them open.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from lsd_core.errors import InputError
from lsd_core.numerics.names import REPOSITORY, REVISION

HUB = "hf://"
PYTHON = "python:"
OPTIONS = ("body_dtype", "length", "mask")
LONGEST = 80  # characters of a name that is made from a path
_NAMELESS = re.compile(
    r"model|pytorch_model|checkpoint[\w-]*|ckpt[\w-]*|archive|snapshots|[0-9a-f]{40}", re.ASCII
)


@dataclass(frozen=True)
class Address:
    """The location of a backbone, and the options that it is run with."""

    where: str
    """The name, or the path."""
    hub: str | None = None
    """OWNER/NAME on the hub."""
    revision: str | None = None
    """Branch, tag or commit on the hub."""
    body_dtype: str | None = None
    """Precision of the body, other than the checkpoint's own."""
    length: str | None = None
    """Positions of a sequence, where the network reads any number."""
    mask: str | None = None
    """Number of the network's own MASK token, where its files do not say."""
    python: str | None = None
    """Import path of a function that makes the network."""

    @property
    def options(self) -> dict[str, str]:
        """What is given for the family that reads a folder."""
        given = {"length": self.length, "mask": self.mask}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def name(self) -> str:
        """What the backbone is called: the last part of its address that says anything."""
        parts = [part for part in re.split(r"[/\\]+", self.hub or str(Path(self.where).absolute())) if part]
        parts[-1:] = [re.sub(r"\.(safetensors|bin|pth?|ckpt)$", "", part) for part in parts[-1:]]
        telling = [part for part in parts if not _NAMELESS.fullmatch(part)] or parts
        name = re.sub(r"[^\w.-]+", "-", telling[-1] if telling else "", flags=re.ASCII)
        return name.lstrip(".-")[:LONGEST].rstrip(".") or "backbone"


def parse(text: str) -> Address:
    """The address in `text`; raises InputError where it is none."""
    where, _, query = text.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    if set(options) - set(OPTIONS) or (query and not options):
        raise InputError("backbone", f"take no option but {', '.join(OPTIONS)}", text)
    if where.startswith(PYTHON):
        return Address(where, python=where.removeprefix(PYTHON), **options)
    if not where.startswith(HUB):
        return Address(where, **options)
    hub, at, revision = where.removeprefix(HUB).partition("@")
    if not REPOSITORY.fits(hub) or (at and not REVISION.fits(revision)):
        raise InputError("backbone", "be hf://OWNER/NAME or hf://OWNER/NAME@REVISION", text)
    return Address(where, hub, revision or None, **options)
