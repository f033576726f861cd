"""The files of cells, read and verified: one that is missing or damaged is one line that names it."""

from collections.abc import Iterator
from contextlib import contextmanager

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


def read_card(store: Store, key: str) -> SamplerCard:
    """The card in a file of the store; InputError names the file where it is missing or damaged."""
    try:
        data = store.read_bytes(key)
    except FileNotFoundError:
        raise MissingFileError(store.locate(key), "exist", "no file", REMEDY) from None
    return SamplerCard.from_json(data, source=store.locate(key))


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
    """A measurement, read once: promotion looks at the same ones for every alias."""
    if key not in store.memory:
        store.memory[key] = _read_measurement(store, key)
    found: Measurement = store.memory[key]
    return found


def read_across(store: Store, key: str) -> Across:
    """Statistics across the samples of a measurement."""
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
