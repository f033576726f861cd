"""The files of cells, read and verified: one that is missing or damaged is one line that names it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from lsd_core.candidates.columns import across_of, decode
from lsd_core.candidates.measurement import Measurement
from lsd_core.candidates.spec import CandidateSpec
from lsd_core.cards import SamplerCard
from lsd_core.distillation.learned import Learned
from lsd_core.errors import InputError, MissingFileError, Unreachable
from lsd_core.metrics.across import Across
from lsd_core.samplers.table import StepTable
from lsd_core.storage.sealed import REMEDY, read_sealed
from lsd_core.storage.store import Store

Content = TypeVar("Content")


def read_card(store: Store, key: str) -> SamplerCard:
    """The card in a file of the store; InputError names the file where it is missing or damaged."""
    return SamplerCard.from_json(card_bytes(store, key), source=store.locate(key))


def card_bytes(store: Store, key: str) -> bytes:
    """The content of a card's file; InputError names it where it is missing."""
    try:
        return store.read_bytes(key)
    except FileNotFoundError:
        raise MissingFileError(store.locate(key), "exist", "no file", REMEDY) from None


def read_learned(store: Store, key: str) -> Learned:
    """A table with how it was learned."""
    with _explained(store, key, "a table"):
        record = read_sealed(store, key)
        return Learned(
            table=StepTable.from_dict(record["table"]),
            sequences=record["sequences"],
            history=record["history"],
            diagnostics=record["diagnostics"],
        )


def read_spec(store: Store, key: str) -> CandidateSpec:
    """The candidate whose table lies in a file."""
    with _explained(store, key, "a table"):
        return CandidateSpec.from_dict(read_sealed(store, key)["spec"])


def read_measurement(store: Store, key: str) -> Measurement:
    """A measurement, from memory where it was read lately: promotion looks at the same ones for every alias."""
    return store.memory.find(key, lambda: _read_measurement(store, key), lambda found: found.nbytes)


def read_across(store: Store, key: str) -> Across:
    """Statistics across the samples of a measurement, likewise."""
    return store.memory.find(key, lambda: _read_across(store, key), lambda found: found.nbytes)


def _read_across(store: Store, key: str) -> Across:
    with _explained(store, key, "statistics across samples"):
        return across_of(decode(store, key))


def _read_measurement(store: Store, key: str) -> Measurement:
    with _explained(store, key, "a measurement"):
        record = read_sealed(store, key)
        scores = decode(store, scores_key(key))["score"]
        metrics = {name: float("nan") if v is None else v for name, v in record["metrics"].items()}
        figures = [*metrics.values(), record["calls_mean"], record["calls_max"]]
        if not all(type(value) in (int, float) for value in figures):
            raise TypeError("a metric that is no number")
        return Measurement(
            metrics=metrics,
            calls_mean=record["calls_mean"],
            calls_max=record["calls_max"],
            scores=scores,
            first=tuple(tuple(map(int, row)) for row in record.get("first", ())),
            device_kind=record.get("device_kind", ""),
        )


def found_at(store: Store, key: str, read: Callable[[Store, str], Content]) -> Content | None:
    """What is read of a file, None where there is none: it is not looked for first, which on S3 is one more request."""
    try:
        return read(store, key)
    except MissingFileError as error:
        if error.field != store.locate(key):  # a file that belongs to it
            raise
        return None


def scores_key(key: str) -> str:
    """Where the scores of a measurement's samples lie."""
    return key.removesuffix(".json") + ".parquet"


def across_key(key: str) -> str:
    """Where the statistics across a measurement's samples lie."""
    return key.removesuffix(".json") + "-across.parquet"


@contextmanager
def _explained(store: Store, key: str, what: str) -> Iterator[None]:
    """A file that is not what it should be is one line that names it."""
    try:
        yield
    except Unreachable:
        raise
    except InputError as error:
        if error.field == "store" or error.field.startswith(store.url):
            raise
        rule = f"hold {what}"
        raise InputError(store.locate(key), rule, str(error), REMEDY) from None
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise InputError(store.locate(key), f"hold {what}", repr(error), REMEDY) from None
