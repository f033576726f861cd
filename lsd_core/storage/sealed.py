"""JSON records that carry the SHA-256 of their own content: a digit that changed at rest shows where they are read.

A record of an earlier version carries none and is read as it is.
"""

import json
from collections.abc import Mapping
from typing import Any

from lsd_core.errors import InputError, MissingFileError
from lsd_core.numerics.canonical import canonical_json, digest
from lsd_core.storage.store import Store

SEAL = "sha256"
"""The field that holds the digest of the canonical JSON of all others."""
REMEDY = "run the same `lsd grid` again: it makes exactly what is missing or damaged"


def seal(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record as JSON reads it back, with its digest."""
    read: dict[str, Any] = json.loads(canonical_json(record))
    return read | {SEAL: digest(read)}


def unseal(value: Any, source: str, remedy: str = REMEDY) -> dict[str, Any]:
    """The record without its digest; InputError where it is none, or not what its digest says."""
    if not isinstance(value, dict):
        raise InputError(source, "hold a record", f"a {type(value).__name__}", remedy)
    record = dict(value)
    told = record.pop(SEAL, None)
    if SEAL in value and told != digest(record):
        raise InputError(source, f"have the content of its digest {told}", digest(record), remedy)
    return record


def write_sealed(store: Store, key: str, record: Mapping[str, Any]) -> None:
    """Publish a record with its digest."""
    store.write_json(key, seal(record))


def read_sealed(store: Store, key: str) -> dict[str, Any]:
    """A record that is there and is what its digest says; else InputError."""
    try:
        value = store.read_json(key)
    except FileNotFoundError:
        raise MissingFileError(store.locate(key), "exist", "no file", REMEDY) from None
    except InputError as error:
        raise type(error)(error.field, error.rule, error.value, error.remedy or REMEDY) from None
    return unseal(value, store.locate(key))
