"""Networks of anybody's package by import path: `python:package.module:factory`.

The factory, a function without arguments, returns an `AdaptedBackbone` whose `predict` is a torch module. Its weights
are published by fingerprint; to build it again, the factory of the installed package is called and they are put into
the module. Code is imported only where a person has named it: by the address in this process (a run passes it on to its
workers), or in the variable LSD_PYTHON_BACKBONES. A card or a stored file alone imports nothing.
"""

import os
import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from lsd_core.backbones.adapted import AdaptedBackbone
from lsd_core.backbones.family import Family
from lsd_core.backbones.frozen import tensors_once
from lsd_core.errors import InputError

NAME = "python"
VARIABLE = "LSD_PYTHON_BACKBONES"  # targets between commas
TARGET = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*:[A-Za-z_]\w*", re.ASCII)
_named = dict[str, None]()


class ImportedBackbone(AdaptedBackbone):
    """An adapted network that its package builds anew; time-free, normalised."""

    family = NAME

    def __init__(self, made: AdaptedBackbone, network: nn.Module, target: str) -> None:
        super().__init__(
            network.eval().requires_grad_(False),
            name=made.name,
            length=made.length,
            num_tokens=made.process.num_tokens,
            mask=made.mask,
            tensors=tensors_once(network),
            never=made.forbidden,
            config={**made.config, "target": target},
        )


def name_targets(*targets: str) -> None:
    """Let these targets be imported in this process, since a person named them."""
    _named.update(dict.fromkeys(targets))


def named_targets() -> tuple[str, ...]:
    """Targets that may be imported here."""
    given = (part.strip() for part in os.environ.get(VARIABLE, "").split(","))
    return tuple(dict.fromkeys([*_named, *filter(None, given)]))


def load(target: str) -> ImportedBackbone:
    """The network that a person names by its import path, with the weights that its factory gives it."""
    if not TARGET.fullmatch(target):
        raise InputError("backbone", "be python:package.module:factory", f"{NAME}:{target}")
    backbone = _make(target)
    name_targets(target)
    return backbone


def build(name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> ImportedBackbone:
    """The network of a stored configuration, these weights in it; its target must have been named here."""
    target = str(config.get("target"))
    if not TARGET.fullmatch(target):  # before it stands in a line that a person may paste into a shell
        raise InputError(f"target of backbone {name}", "be package.module:factory", target)
    if target not in named_targets():
        remedy = (
            f"if you trust that code: export {VARIABLE}={target}, or load_backbone('{NAME}:{target}') first"
        )
        raise InputError(f"backbone {name}", "come from code that is named here", f"{NAME}:{target}", remedy)
    backbone = _make(target)
    for field in sorted({*config, *backbone.config}):
        if config.get(field) != backbone.config.get(field):
            rule = f"give the {field} that was published, {config.get(field)!r}"
            raise InputError(
                f"factory {target}", rule, backbone.config.get(field), "install its version of then"
            )
    _put(tensors, backbone, target)
    backbone.name = name
    return backbone


def _put(tensors: Mapping[str, Tensor], backbone: ImportedBackbone, target: str) -> None:
    """Copy published weights into the module, every one under its name and in its shape."""
    own = backbone.tensors()
    wrong = [key for key in sorted({*own, *tensors}) if key not in own or key not in tensors]
    wrong += [key for key in own if key in tensors and own[key].shape != tensors[key].shape]
    if wrong:
        raise InputError(f"factory {target}", "make the network of the published weights", wrong[0])
    for key, tensor in tensors.items():
        own[key].copy_(tensor)  # shares memory with the module's parameter or buffer


def _make(target: str) -> ImportedBackbone:
    """What the factory returns, checked."""
    module, _, attribute = target.partition(":")
    try:
        made = getattr(import_module(module), attribute)()
    except InputError:
        raise
    except Exception as error:  # somebody's code
        shown = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
        raise InputError(f"factory {target}", "be importable and return a backbone", shown) from error
    if not isinstance(made, AdaptedBackbone) or not isinstance(made.predict, nn.Module):
        kind = type(made.predict if isinstance(made, AdaptedBackbone) else made).__name__
        rule = "return an AdaptedBackbone whose predict is a torch.nn.Module, so that its weights have names"
        raise InputError(f"factory {target}", rule, kind)
    return ImportedBackbone(made, made.predict, target)


FAMILY = Family(name=NAME, build=build)
