"""Values that people and other programs put where they do not belong, and how a record is changed by one."""

import copy
import json
from collections.abc import Iterator
from random import Random
from typing import Any

DEEP: Any = 1
for _ in range(60):
    DEEP = [DEEP]
NAMES = [
    "",
    ".",
    "../../x",
    "/etc/passwd",
    "a/b",
    "[/red]",
    "<b>x</b>",
    "\x1b[31mred",
    "a\nb",
    "\ud800",
    "\u202erts",
]
NAMES += [
    "x" * 300,
    "it's",
    'say "x"',
    "a:b",
    "é",
    "nul\0",
    "²",
    "1e400",
    "models:/x@y",
    "~",
    "${HOME}",
    "{x}",
]
NUMBERS = [
    0,
    -1,
    1,
    2,
    65,
    2**31,
    2**63,
    10**9,
    10**12,
    10**15,
    10**30,
    -(10**18),
    0.5,
    -0.0,
    1e-320,
    1e308,
    2.5,
]
NOT_FINITE = [float("nan"), float("inf"), float("-inf")]
OTHERS = [None, True, False, [], {}, [[]], [None], ["x"], {"a": 1}, {"": {}}, [1] * 200, ["euler"] * 3, DEEP]
KNOWN = [
    "euler",
    "tweedie",
    "halton",
    "theta_trapezoidal",
    "first_hitting",
    "plain",
    "lsd",
    "lsd_plus",
    "jys",
    "path_kl",
]
KNOWN += [
    "cosine",
    "temperature",
    "all",
    "exact",
    "data",
    "countdown",
    "countdown-exact",
    "countdown-uniform-exact",
]
KNOWN += [
    "text-radd",
    "digits-uniform",
    "text",
    "digits",
    "sequences",
    "distinct",
    "self_bleu",
    "uniform",
    "absorbing",
]
KNOWN += [
    "gaussian",
    "log_linear",
    "geometric",
    "exponential",
    "times",
    "counts",
    "score",
    "log_score",
    "float32",
]
NEAR: dict[type, list[Any]] = {
    int: [1, 2, 3, 4, 5, 7, 16, 31, 32, 33, 63, 64, 65, 100, 1000, 2**20, 2**24],
    float: [0.0, 1e-9, 0.1, 0.999, 1.0, 1.001, 3.0, 1e3, 1e9],
    str: KNOWN,
    list: [[1], [1, 2, 3], [0.5, 1.0], ["euler"], [64], [1.0, 0.0], [4, 2, 0]],
}
"""What fits in kind, and perhaps not with what is beside it."""
VALUES: list[Any] = [*NAMES, *NUMBERS, *NOT_FINITE, *OTHERS]


def paths(record: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something lies in nested data, containers included."""
    if at:
        yield at
    items = (
        record.items() if isinstance(record, dict) else enumerate(record) if isinstance(record, list) else ()
    )
    for key, value in items:
        yield from paths(value, (*at, key))


def changed(record: Any, gen: Random, values: list[Any] = VALUES) -> tuple[Any, str]:
    """The record with one place changed: another value, gone, or a stranger beside it; and what was done."""
    made = copy.deepcopy(record)
    where = gen.choice(list(paths(made)))
    parent = made
    for key in where[:-1]:
        parent = parent[key]
    name, kind = ".".join(map(str, where)), gen.random()
    if kind < 0.1 and isinstance(parent, dict):
        del parent[where[-1]]
        return made, f"without {name}"
    if kind < 0.15 and isinstance(parent, dict):
        stranger = gen.choice(NAMES)
        parent[stranger] = gen.choice(values)
        return made, f"{name} beside {stranger!r}"
    value = gen.choice(NEAR.get(type(parent[where[-1]]), values) if gen.random() < 0.4 else values)
    parent[where[-1]] = copy.deepcopy(value)
    return made, f"{name}: {value!r}"


def as_yaml(record: Any) -> str:
    """JSON with YAML's names for what is not finite."""
    text = json.dumps(record)
    for name, theirs in (("-Infinity", "-.inf"), ("Infinity", ".inf"), ("NaN", ".nan")):
        text = text.replace(name, theirs)
    return text


def spoiled(data: bytes, gen: Random) -> tuple[bytes, str]:
    """Bytes cut off, changed, doubled or in another encoding."""
    kind = gen.choice(["cut", "flip", "insert", "double", "utf-16", "bom", "nul", "swap"])
    at = gen.randrange(max(1, len(data)))
    made = {
        "cut": data[:at],
        "flip": data[:at] + bytes([data[at] ^ (1 << gen.randrange(8))]) + data[at + 1 :] if data else b"",
        "insert": data[:at] + gen.randbytes(gen.randrange(1, 9)) + data[at:],
        "double": data + data,
        "utf-16": data.decode(errors="replace").encode("utf-16"),
        "bom": b"\xef\xbb\xbf" + data,
        "nul": data[:at] + b"\0" + data[at:],
        "swap": data[at:] + data[:at],
    }[kind]
    return made, f"{kind} at {at}"
