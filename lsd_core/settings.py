"""Typed settings of a component: a frozen dataclass beside it, read from plain data and described for forms.

A field's type is its rule and the string under it its description; `__post_init__` may raise InputError for more.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from functools import cache
from types import MappingProxyType
from typing import Any, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError

from lsd_core.errors import InputError

T = TypeVar("T")


@cache
def _adapter(kind: Any) -> TypeAdapter:
    if "__pydantic_config__" not in vars(kind):  # a dataclass's rules for pydantic can only lie on its class
        kind.__pydantic_config__ = ConfigDict(extra="forbid", use_attribute_docstrings=True)
    return TypeAdapter(kind)


def read_settings(owner: str, kind: type[T], given: Mapping[str, Any], *, text: bool = False) -> T:
    """The settings of `owner`, defaults filled in; raises InputError for an unknown name or a wrong value.

    Types are strict (a number is no text) except that a list may stand for a tuple and 1 for 1.0, as in JSON.
    With `text` all values are written as text, as on a command line.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for name in given:
        if name not in known:
            rule = f"be one of {known}" if known else "not be given: there is nothing to set"
            raise InputError(f"setting of {owner}", rule, name)
        if not _is_finite(given[name]):
            raise InputError(f"{owner}.{name}", "be finite", given[name])
    try:
        adapter = _adapter(cast(Any, kind))
        found = (
            adapter.validate_strings(dict(given))
            if text
            else adapter.validate_json(json.dumps(dict(given)), strict=True)
        )
        return cast(T, found)
    except ValidationError as error:
        named = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
        wrong = next(iter(error.errors()[0]["loc"]), None)
        default = named.get(str(wrong), MISSING)
        remedy = "" if default is MISSING else f"the default is {wrong}: {json.dumps(default)}"
        raise explained(f"setting of {owner}", error, remedy) from None
    except TypeError as error:
        raise InputError(f"settings of {owner}", "be plain data, as in JSON", str(error)) from None


def write_settings(config: Any, given: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The settings as JSON has them, every one; `read_settings` reads them back.

    Those in `given` that are equal stay as they were written, 1 or 1.0: keys on the store hash the text.
    """
    record: dict[str, Any] = _listed(asdict(config))
    return record | {name: value for name, value in given.items() if value == record[name]}


def settings_schema(kind: type) -> dict[str, Any]:
    """JSON schema of the settings, for a form."""
    return _adapter(kind).json_schema()


def explained(
    what: str,
    error: ValidationError,
    remedy: str = "",
    *,
    rules: Mapping[str, str] = MappingProxyType({}),
    source: str = "",
) -> InputError:
    """The first thing that is wrong with validated data, as an InputError.

    `rules` has words for some of pydantic's types of errors, with the limits of that type in braces. `source` is the
    file that the data come from.
    """
    first = error.errors()[0]
    inner, missing = first.get("ctx", {}).get("error"), first["type"] == "missing"
    field = source + ".".join([what, *map(str, first["loc"])])
    if isinstance(inner, InputError):
        return InputError(
            source + inner.field if inner.field else field, inner.rule, inner.value, inner.remedy
        )
    said = first["msg"].removeprefix("Input should ")
    rule = "be given" if missing else said if said != first["msg"] else f"be right ({said})"
    if first["type"] in rules:
        rule = rules[first["type"]].format(**first.get("ctx", {}))
    return InputError(field, rule, "nothing" if missing else first["input"], remedy)


def _is_finite(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def _listed(value: Any) -> Any:
    """Tuples as lists, as JSON reads them back."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value
