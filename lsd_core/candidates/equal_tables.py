"""Measurements of equal tables: drawn once, whichever methods or learning seeds chose the table.

`measured/<key>.json` names the measurement in whose cell the samples were drawn first; the key is the digest of what
they and their scores depend on. All candidates draw with the same seeds, so that those of one base sampler whose tables
are equal have the same samples. The files are hints: without them samples are drawn again, and are the same.
"""

from dataclasses import replace
from typing import Any

from lsd_core.candidates.measurement import Measurement
from lsd_core.candidates.reading import across_key, found_at, read_across, read_measurement
from lsd_core.candidates.results import Results
from lsd_core.candidates.spec import CODE_EPOCH, CandidateSpec
from lsd_core.candidates.work import as_drawn, compared, shows
from lsd_core.distillation.methods import METHODS
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import digest
from lsd_core.samplers.table import StepTable
from lsd_core.storage.damage import damage_in, unless_damaged
from lsd_core.storage.sealed import REMEDY, read_sealed, write_sealed
from lsd_core.storage.store import Store

FOLDER = "measured"


def find_equal(
    results: Results, part: str, which: int, temperature: float, table: StepTable
) -> Measurement | None:
    """The measurement of an equal table on these samples, as it would be made here; None where none is whole."""
    store, key = results.store, hint_key(results.spec, part, which, temperature, table)
    at = unless_damaged(lambda: _place(store, key), None)
    if at is None or at == results.measurement_key(part, which, temperature):
        return None
    return unless_damaged(lambda: _read(store, at, part, temperature), None)


def note_measured(results: Results, part: str, which: int, temperature: float, table: StepTable) -> None:
    """Say where samples were drawn."""
    at = results.measurement_key(part, which, temperature)
    write_sealed(results.store, hint_key(results.spec, part, which, temperature, table), {"at": at})


def hint_key(spec: CandidateSpec, part: str, which: int, temperature: float, table: StepTable) -> str:
    """Names the file that says where samples of a table were drawn."""
    return f"{FOLDER}/{digest(_describe(spec.work, part, which, temperature, table))[:16]}.json"


def damaged_hints(store: Store) -> dict[str, str]:
    """Files that do not say where samples were drawn, and why; a run draws anew where it finds no good one."""
    reasons = ((key, damage_in(lambda key=key: _place(store, key))) for key in store.list(FOLDER))  # type: ignore[misc]
    return {key: f"{reason}, or delete this file" for key, reason in reasons if reason}


def stale_hints(store: Store, before: float) -> list[str]:
    """Files last written before a time (seconds since 1970) that name a measurement which is gone, or none."""
    old = [key for key in store.list(FOLDER) if store.modified(key) < before]
    places = {key: unless_damaged(lambda key=key: _place(store, key), "") for key in old}  # type: ignore[misc]
    there = set(store.list("cells")) if old else set()
    return [key for key, at in places.items() if at not in there]


def _place(store: Store, key: str) -> str:
    """The measurement that a hint names."""
    at = read_sealed(store, key).get("at")
    if not isinstance(at, str):
        raise InputError(store.locate(key), "name a measurement", at, REMEDY)
    return at


def _read(store: Store, at: str, part: str, temperature: float) -> Measurement | None:
    """A measurement with what this part keeps: some of the sequences, statistics across them."""
    found = read_measurement(store, at)
    store.memory.forget(at)  # a worker reads it once
    shown, comparable = shows(part, temperature), compared(part, temperature)
    across = found_at(store, across_key(at), read_across) if comparable else None
    store.memory.forget(across_key(at))
    if (shown and not found.first) or (comparable and across is None):
        return None
    return replace(found, first=found.first if shown else (), across=across)


def _describe(
    spec: CandidateSpec, part: str, which: int, temperature: float, table: StepTable
) -> dict[str, Any]:
    """What samples and their scores depend on."""
    evaluation = spec.evaluation.to_dict()
    chooses = f"{METHODS.group}:"
    return {
        "backbone": spec.backbone.model_dump(),
        "sampler": spec.sampler,
        "table": as_drawn(table, temperature).to_dict(),
        "seed": spec.sampling_seed(part, which),
        "samples": spec.evaluation.samples_of(part),
        "evaluation": {n: evaluation.get(n) for n in ("task", "batch", "metrics", "conditions")},
        "components": {k: list(v) for k, v in sorted(spec.components.items()) if not k.startswith(chooses)},
        "code_epoch": CODE_EPOCH,
    }
