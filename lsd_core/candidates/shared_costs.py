"""Costs that candidates share, on the store: measured once for all NFEs, learning seeds and methods that need them.

`costs/<key>.json` says what the costs depend on and what they are; the key is the digest of the former. A table that
was learned names the files that it read. They are a cache: without them a run measures again, and gets the same bits.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lsd_core.candidates.spec import CODE_EPOCH, CandidateSpec
from lsd_core.distillation.learned import CostKey, Kept
from lsd_core.errors import InputError, MissingFileError, Unreachable
from lsd_core.numerics.canonical import canonical_json, digest
from lsd_core.samplers import SAMPLERS
from lsd_core.storage.damage import damage_in
from lsd_core.storage.sealed import read_sealed, seal
from lsd_core.storage.store import Store

FOLDER = "costs"
VERSION = 1  # moves when the same settings give other costs
REMEDY = "run the same `lsd grid` again, or delete this file: what is needed is measured anew"


class CostsOnStore:
    """`Problem.shared_costs` of one learning run: reads what is there, measures and publishes what is not.

    Of several workers that measure the same costs the first publishes them, and all go on with what is published: on
    one environment that is what each of them measured. `kept` spares reading a file twice.
    """

    def __init__(self, store: Store, spec: CandidateSpec, kept: Kept, say: Callable[[str], None]) -> None:
        self.store, self.spec, self.kept, self.say = store, spec, kept, say
        self.used = dict[str, int]()
        """The files that several budgets or learning seeds ask for, and the sequences that each took to measure."""
        self.own = dict[str, int]()
        """The others, which only methods share."""

    def __call__(self, asked: CostKey, measure: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        of = describe(self.spec, asked)
        key = key_of(of)
        costs: Mapping[str, Any] = self.kept(("costs", key), lambda: self._find(key, of, measure))
        (self.own if asked.of_one_seed else self.used)[key] = costs["sequences"]
        return costs

    @property
    def noted(self) -> dict[str, dict[str, int]]:
        """For a table's diagnostics; nothing where no file was asked for."""
        notes = {"shared_costs": self.used, "own_costs": self.own}
        return {name: dict(sorted(files.items())) for name, files in notes.items() if files}

    def _find(
        self, key: str, of: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        try:
            return read_costs(self.store, key)
        except Unreachable:
            raise
        except MissingFileError:
            publish = self.store.write_new
        except InputError as error:
            self.say(f"measured again: {error}")
            publish = self.store.write_bytes
        costs = dict(measure())
        if not _finite(costs):  # JSON has no infinity
            return costs
        publish(key, canonical_json(seal({"of": of, "costs": costs})).encode())
        return read_costs(self.store, key)


def describe(spec: CandidateSpec, asked: CostKey) -> dict[str, Any]:
    """What costs that a candidate asks for depend on."""
    teacher = spec.teacher
    sampler = f"{SAMPLERS.group}:"
    return {
        "kind": asked.kind,
        "of": list(asked.of),
        "backbone": spec.backbone.fingerprint,
        "conditions": None if teacher is None or teacher.conditions is None else dict(teacher.conditions),
        "teacher": teacher.to_dict() if asked.stored and teacher is not None else None,
        "trajectories": spec.trajectories if asked.stored else None,
        "components": {k: list(v) for k, v in sorted(spec.components.items()) if k.startswith(sampler)},
        "version": VERSION,
        "code_epoch": CODE_EPOCH,
    }


def key_of(of: Mapping[str, Any]) -> str:
    """Names the file of costs that depend on this."""
    return f"{FOLDER}/{digest(of)[:16]}.json"


def read_costs(store: Store, key: str) -> Mapping[str, Any]:
    """The costs in a file; InputError names it where it is missing, damaged, or another's under its name."""
    record = read_sealed(store, key)
    of, costs = record.get("of"), record.get("costs")
    if not isinstance(of, dict) or not isinstance(costs, dict) or type(costs.get("sequences")) is not int:
        raise InputError(store.locate(key), "hold costs and what they depend on", sorted(record), REMEDY)
    if key_of(of) != key:
        raise InputError(store.locate(key), f"lie in {key_of(of)}", key, REMEDY)
    return costs


def damaged_costs(store: Store) -> dict[str, str]:
    """Files of costs that are bad, and why; a run measures anew what it finds no good file of."""
    reasons = ((key, damage_in(lambda key=key: read_costs(store, key))) for key in store.list(FOLDER))  # type: ignore[misc]
    return {key: reason for key, reason in reasons if reason}


def unused_costs(store: Store, before: float) -> list[str]:
    """Files of costs last written before a time (seconds since 1970) that no table of a cell names.

    None where a table cannot be read: it may name them.
    """
    old = [key for key in store.list(FOLDER) if store.modified(key) < before]
    named = set[str]()
    for key in store.list("cells") if old else ():
        if key.rpartition("/")[2].startswith("table-"):
            try:
                named.update(names_of(read_sealed(store, key).get("diagnostics")))
            except Unreachable:
                raise
            except InputError:
                return []
    return [key for key in old if key not in named]


def names_of(diagnostics: Any) -> Iterator[str]:
    """The files of costs that a table was learned from."""
    for name in ("shared_costs", "own_costs"):
        files = diagnostics.get(name) if isinstance(diagnostics, dict) else None
        if isinstance(files, dict):
            yield from map(str, files)


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    return all(map(_finite, value)) if isinstance(value, list | tuple) else True
