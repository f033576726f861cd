"""Canonical JSON, and the hashes and seeds derived from it.

Equal content gives equal text, hence equal names on the store and equal random numbers.
"""

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no free space; NaN and infinity raise ValueError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def digest(value: Any) -> str:
    """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def derive_seed(*parts: Any) -> int:
    """A seed in [0, 2^63) that is a function of its parts alone."""
    return int(digest(list(parts))[:16], 16) >> 1
