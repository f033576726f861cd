"""Annotated types and shapes, checked on each call: jaxtyping's decorator with one pass of beartype.

`jaxtyping.jaxtyped` binds the arguments of each call to the signature and checks them twice, before the call and with
its result; in tests that sample, that is most of the time. Here a wrapper of beartype checks arguments and result once
each, in a context of its own for the names of axes: what is refused is the same.
"""

import dataclasses
import functools
import inspect
import sys
import typing
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

# Stateless: to enter it is to begin a new set of axes, to leave it to return to the caller's.
AXES = jaxtyping.jaxtyped("context")
CONF = BeartypeConf(violation_type=jaxtyping.TypeCheckError)

if sys.version_info < (3, 12):  # Later ones ask a protocol for its members once, not at each check.
    for _name in ("_get_protocol_attrs", "_is_callable_members_only"):
        setattr(typing, _name, functools.cache(getattr(typing, _name)))


def checked(fn: Any = None, **_: Any) -> Any:
    """A decorator for functions, methods, properties and dataclasses, in the place of `jaxtyping.jaxtyped`."""
    if fn is None:
        return checked
    if inspect.isclass(fn):
        if dataclasses.is_dataclass(fn) and "__init__" in vars(fn):
            fn.__init__ = _function(fn.__init__)
        return fn
    if isinstance(fn, classmethod | staticmethod):
        return type(fn)(_function(fn.__func__))
    if isinstance(fn, property):
        return property(*(part and _function(part) for part in (fn.fget, fn.fset, fn.fdel)), fn.__doc__)
    return _function(fn)


def _function(fn: Callable[..., Any]) -> Callable[..., Any]:
    inner = beartype(_returning(fn) if inspect.isgeneratorfunction(fn) else fn, conf=CONF)
    if not any(map(_has_axes, getattr(fn, "__annotations__", {}).values())):
        return inner

    @functools.wraps(inner)
    def with_axes(*args: Any, **kwargs: Any) -> Any:
        with AXES:
            return inner(*args, **kwargs)

    return with_axes


def _returning(generator: Callable[..., Any]) -> Callable[..., Any]:
    """The same as a function that returns it, whose arguments are checked when it is called.

    Axes must not stay named between one item and the next, while others run.
    """

    @functools.wraps(generator)
    def begun(*args: Any, **kwargs: Any) -> Any:
        return generator(*args, **kwargs)

    return begun


def _has_axes(hint: Any) -> bool:
    """Whether an annotation names axes, itself or inside of others; one that is text may."""
    if isinstance(hint, str) or (inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray)):
        return True
    return any(map(_has_axes, typing.get_args(hint)))
