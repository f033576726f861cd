"""The definition of a metric that a grid may add to its task's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.settings import read_settings


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """Nothing to set."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One family of metrics: `NAME`, or `NAME:VALUE:VALUE` with its settings in the order of their fields."""

    name: str
    version: int = 1
    """Raised when its values change."""
    compute: Callable[[Tensor, AnyBackbone, Any], Mapping[str, float]]
    """(tokens (n, l), their backbone, settings) -> values by name."""
    config_class: type = NoSettings
    """The frozen dataclass of its settings."""
    check: Callable[[AnyBackbone, int, Any], None] = lambda backbone, samples, config: None
    """(backbone, samples, settings): raises InputError for what will not do, before any work."""

    @property
    def form(self) -> str:
        """How it is written: `fid:WEIGHTS:REFERENCE`."""
        return ":".join([self.name, *(field.name.upper() for field in fields(self.config_class))])

    def config(self, text: str) -> Any:
        """The settings in `NAME:VALUE:VALUE`; raises InputError."""
        values = text.split(":")[1:]
        names = [field.name for field in fields(self.config_class)]
        if len(values) != len(names) or not all(values):
            rule = f"be written {self.form}, with what it needs after colons"
            raise InputError("evaluation.metrics", rule, text)
        return read_settings(self.name, self.config_class, dict(zip(names, values, strict=True)), text=True)
