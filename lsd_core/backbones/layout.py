"""Published layouts: a family's own configuration and tensor names, converted to ours."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from lsd_core.errors import InputError
from lsd_core.processes import Geometric, LogLinear, Noise

_REQUIRED: Any = object()
WRAPPERS = ("model.", "backbone.")  # names under which a training module holds its network


@dataclass(frozen=True)
class Fields:
    """A published configuration, read field by field; what is missing or of the wrong kind is named."""

    record: dict[str, Any]
    source: str

    def get(self, path: str, kind: type, default: Any = _REQUIRED) -> Any:
        """The value at a dotted path such as `model.hidden_size`."""
        value: Any = self.record
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
            if value is None:
                if default is not _REQUIRED:
                    return default
                raise InputError(f"{path} in {self.source}", "be given", "nothing")
        if kind is float and isinstance(value, int | str):  # YAML 1.1 reads 1e-4 as a word
            value = _number(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise InputError(f"{path} in {self.source}", f"be {_NAMES[kind]}", value)
        if isinstance(value, int) and kind is int and value < 1:
            raise InputError(f"{path} in {self.source}", "be >= 1", value)
        return value

    def has(self, path: str) -> bool:
        return self.get(path, object, None) is not None

    def numbers(self, path: str, count: int) -> list[int]:
        """A list of that many positive integers."""
        values: list[Any] = self.get(path, list)
        if len(values) != count or not all(type(value) is int and value >= 1 for value in values):
            raise InputError(f"{path} in {self.source}", f"be {count} integers >= 1", values)
        return list(values)

    def noise(self, section: str = "noise") -> Noise:
        """The noise schedule in a SEDD- or RADD-type configuration."""
        kind = self.get(f"{section}.type", str, "loglinear")
        if kind == "loglinear":
            return LogLinear()
        if kind == "geometric":
            ends = (self.get(f"{section}.{end}", float) for end in ("sigma_min", "sigma_max"))
            return Geometric(*ends)
        raise InputError(f"{section}.type in {self.source}", "be loglinear or geometric", kind)


_NAMES = {
    int: "an integer",
    float: "a number",
    str: "a word",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
}


def _number(value: Any) -> Any:
    try:
        return float(value)
    except ValueError:
        return value


@dataclass(frozen=True)
class Layout:
    """Our configuration of a published checkpoint, and the prefix of its tensor names."""

    config: dict[str, Any]
    """Ours, as `storage.build` takes it."""
    prefix: str = ""
    """What stands before our names in the published file."""
    prefixes: tuple[str, ...] = ()
    """Or one of these, where files of the layout differ in it."""
    task: str | None = None
    """The task that the configuration declares by its training data."""

    def prefix_in(self, names: Collection[str], first: str) -> str:
        """What stands before our names in a file with these, where the tensor `first` tells it.

        One of the layout's own, or one of these behind the name of a training module's attribute (`WRAPPERS`).
        """
        own = (*self.prefixes, self.prefix)
        known = (*own, *(wrapper + each for wrapper in WRAPPERS for each in own))
        return next((each for each in known if each + first in names), self.prefix)


def transformer_config(
    fields: Fields, *, family: str, process: dict[str, Any], names: dict[str, str], body_dtype: str
) -> dict[str, Any]:
    """Our configuration of a diffusion transformer; `names` says where each size lies in the published one."""
    sizes = {ours: fields.get(theirs, int) for ours, theirs in names.items()}
    if sizes["dim"] % (2 * sizes["num_heads"]):
        rule = f"be a multiple of twice the {sizes['num_heads']} heads"
        raise InputError(f"{names['dim']} in {fields.source}", rule, sizes["dim"])
    config = {"family": family, "process": process, "cond_dim": None, "body_dtype": body_dtype} | sizes
    if config["cond_dim"] is not None:
        config["condition_dtype"] = "float32"  # published networks embed sigma_bar outside the autocast
    return config
