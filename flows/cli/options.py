"""Options of a command, generated from the fields of a config: `--nfe`, `--samples`, `--teacher.steps`, ...

A command takes `given`, the fields that were set on the command line by their dotted path; the others stay as the
YAML file has them. A field's description is its help.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from cyclopts import Parameter
from pydantic import BaseModel

from flows.cli.shared import whole, wholes

SHORT = {
    "evaluation.samples": "samples",
    "evaluation.seeds": "seeds",
    "evaluation.metrics": "metrics",
    "evaluation.batch": "batch",
    "teacher.trajectories": "trajectories",
    "teacher.shard_rows": "shard-rows",
    "tracking_uri": "registry",
}
Command = Callable[..., int]


def options_of(
    model: type[BaseModel], *, only: Sequence[str] = (), without: Sequence[str] = ()
) -> Callable[[Command], Command]:
    """Add an option for each field of a config, sections included, to a command that takes `given`.

    `only` keeps the fields and sections of these names, `without` leaves out others.
    """
    paths = {
        path.replace(".", "__"): (path, kind, text)
        for path, kind, text in _fields(model)
        if path.partition(".")[0] not in without and (not only or {path, path.partition(".")[0]} & set(only))
    }

    def decorate(function: Command) -> Command:
        @wraps(function)
        def command(*args: Any, **kwargs: Any) -> int:
            named = {name: kwargs.pop(name) for name in [*kwargs] if name in paths}
            given = {paths[name][0]: value for name, value in named.items() if value is not None}
            return function(*args, given=given, **kwargs)

        signature = inspect.signature(function)
        own = [each for each in signature.parameters.values() if each.name != "given"]
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_annotation(path, kind, text)
            )
            for name, (path, kind, text) in paths.items()
        ]
        every = [*own, *added]
        command.__signature__ = signature.replace(parameters=every)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in every} | {"return": int}
        del command.__wrapped__
        return command

    return decorate


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """Dotted path, plain type and description of each field that a command line can hold."""
    for name, field in model.model_fields.items():
        kind = _plain(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _fields(kind, f"{prefix}{name}.")
        elif kind in (int, float, str, bool) or get_origin(kind) is list:
            yield f"{prefix}{name}", kind, field.description or ""


def _plain(annotation: Any) -> Any:
    """`Annotated[int, ...] | None` as int: what is typed; pydantic checks the rest."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        (kind, *others) = [each for each in get_args(annotation) if each is not NoneType]
        return _plain(kind) if not others else annotation
    if get_origin(annotation) is list:
        inner = _plain(get_args(annotation)[0])
        return {int: list[int], float: list[float], str: list[str]}.get(inner, annotation)
    return annotation


def _annotation(path: str, kind: Any, text: str) -> Any:
    long = "--" + path.replace("_", "-")
    names = [f"--{SHORT[path]}", long] if path in SHORT else [long]
    converter = {int: whole, list[int]: wholes}.get(kind)
    many = get_origin(kind) is list
    parameter = Parameter(
        name=names,
        help=text,
        converter=converter,
        consume_multiple=many or None,
        negative="",
        show_default=False,
    )
    return Annotated[kind | None, parameter]
