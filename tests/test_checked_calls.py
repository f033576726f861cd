"""Shapes and types of lsd_core are checked while it is tested; see `checked_calls`."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pytest
import torch
from jaxtyping import Float, Int, TypeCheckError
from torch import Tensor

from lsd_core.samplers.table import StepTable
from tests.checked_calls import checked

ONE, TWO, THREE = (torch.zeros(size) for size in (1, 2, 3))


@checked
def added(x: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    return x + y


@checked
def first(x: Float[Tensor, " n"], count: int) -> Float[Tensor, " n"]:
    return x[:count]


@checked
def twice(x: Float[Tensor, " n"]) -> Float[Tensor, " m"]:
    return added(torch.cat([x, x]), torch.cat([x, x]))


@checked
def optional(x: Float[Tensor, " n"], y: Float[Tensor, " n"] | None = None) -> None:
    return None


def test_axes_of_one_name_are_of_one_size_among_arguments() -> None:
    assert added(TWO, TWO).shape == (2,)
    with pytest.raises(TypeCheckError, match="parameter"):
        added(TWO, THREE)
    optional(TWO)
    with pytest.raises(TypeCheckError, match="parameter"):
        optional(TWO, THREE)


def test_the_result_has_the_axes_of_the_arguments() -> None:
    assert first(TWO, 2).shape == (2,)
    with pytest.raises(TypeCheckError, match="return"):
        first(TWO, 1)


def test_a_called_function_has_axes_of_its_own() -> None:
    assert twice(TWO).shape == (4,)
    assert twice(x=THREE).shape == (6,)


def test_after_an_error_axes_are_free_again() -> None:
    @checked
    def fails(x: Float[Tensor, " n"]) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        fails(TWO)
    assert added(THREE, THREE).shape == (3,)


def test_types_are_checked_where_no_axis_is_named() -> None:
    @checked
    def half(x: int) -> int:
        return x / 2  # type: ignore[return-value]

    with pytest.raises(TypeCheckError, match="parameter"):
        half("2")
    with pytest.raises(TypeCheckError, match="return"):
        half(2)


def test_methods_properties_and_dataclasses_are_checked() -> None:
    @checked
    @dataclass(frozen=True)
    class Pair:
        left: Float[Tensor, " n"]
        right: Float[Tensor, " n"]

        @property
        @checked
        def whole(self) -> Int[Tensor, " n"]:
            return self.left

        @classmethod
        @checked
        def of(cls, left: Float[Tensor, " n"], right: Float[Tensor, " n"]) -> "Pair":
            return cls(left, left)

        @staticmethod
        @checked
        def size(x: Float[Tensor, " n"]) -> str:
            return "1"

    assert Pair.size(ONE) == "1"
    with pytest.raises(TypeCheckError, match="parameter"):
        Pair(TWO, THREE)
    with pytest.raises(TypeCheckError, match="return"):
        _ = Pair(TWO, TWO).whole
    with pytest.raises(TypeCheckError, match="parameter"):
        Pair.of(TWO, THREE)
    with pytest.raises(TypeCheckError, match="parameter"):
        Pair.size(torch.zeros(1, 1))


def test_members_of_a_protocol_are_looked_for() -> None:
    @runtime_checkable
    class Sized(Protocol):
        size: int

        def __call__(self, x: int) -> int: ...

    @checked
    def of(thing: Sized) -> None:
        return None

    class Whole:
        def __init__(self) -> None:
            self.size = 1

        def __call__(self, x: int) -> int:
            return x

    of(Whole())
    with pytest.raises(TypeCheckError, match="parameter"):
        of(len)


def test_generators_are_checked_and_stay_lazy() -> None:
    begun = []

    @checked
    def halves(x: Float[Tensor, " n"], y: Float[Tensor, " n"]) -> Iterator[Float[Tensor, " m"]]:
        begun.append(1)
        yield x[:1]
        yield y[1:]

    made = halves(TWO, TWO)
    assert not begun
    assert [part.shape for part in made] == [(1,), (1,)]
    with pytest.raises(TypeCheckError, match="parameter"):
        halves(TWO, THREE)
    with pytest.raises(TypeCheckError, match="parameter"):
        halves(x=TWO, y=1)


def test_the_package_is_checked() -> None:
    with pytest.raises(TypeCheckError, match="parameter"):
        StepTable(times=1.0)  # type: ignore[arg-type]
    from lsd_core.numerics.randomness import uniforms

    with pytest.raises(TypeCheckError, match="parameter"):
        uniforms("seed")  # type: ignore
