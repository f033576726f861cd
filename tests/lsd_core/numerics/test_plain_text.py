"""JSON and YAML are read as plain data or refused in one line, quickly, whatever they hold."""

import json
import time
from typing import Any

import pytest
import yaml

from lsd_core.errors import InputError
from lsd_core.numerics.plain_text import parse_json, parse_yaml

LAUGHS = "a0: &a0 [1, 1]\n" + "".join(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]\n" for k in range(1, 40))
BAD_YAML: dict[str, tuple[bytes, str]] = {
    "not UTF-8": (b"a: \xff\xfe", "UTF-8"),
    "UTF-16": ("a: 1".encode("utf-16"), "UTF-8"),
    "a key twice": (b"nfe: [4]\nnfe: [8]\n", "the key nfe is given twice in line 1"),
    "a key twice, inside": (b"a:\n  b: 1\n  b: 2\n", "the key b is given twice"),
    "syntax": (b"a: [1, 2", "line 1"),
    "aliases that explode": (LAUGHS.encode(), "100000 values"),
    "an alias inside itself": (b"a: &a [*a]", "inside what it names"),
    "deep nesting": (b"[" * 2000 + b"]" * 2000, "nested too deeply"),
    "5000 digits": (b"a: 1" + b"0" * 5000, "digits"),
    "a Python object": (b"a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
    "control characters": (b"a: \x07", "characters"),
    "two documents": (b"a: 1\n---\nb: 2\n", "document"),
    "a date that is none": (b"a: 2024-13-45", "month"),
}
BAD_JSON: dict[str, tuple[str | bytes, str]] = {
    "not UTF-8": (b'{"a": "\xff"}', "codec"),
    "a key twice": ('{"a": 1, "a": 2}', "the key a is given twice"),
    "NaN": ('{"a": NaN}', "NaN is no number"),
    "infinity": ('{"a": -Infinity}', "-Infinity is no number"),
    "too large": ('{"a": 1e999}', "1e999 is too large"),
    "syntax": ('{"a": ', "Expecting value"),
    "deep nesting": ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
    "5000 digits": ("1" + "0" * 5000, "digits"),
    "half a character": ('{"a": "\\ud800"}', "surrogates not allowed"),
    "a byte order mark": ("\ufeff{}", "BOM"),
}


@pytest.mark.parametrize("name", BAD_YAML)
def test_bad_yaml_is_one_short_line(name: str) -> None:
    data, words = BAD_YAML[name]
    check(lambda: parse_yaml(data, "grid.yaml"), "grid.yaml must be", words)


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json_is_one_short_line(name: str) -> None:
    text, words = BAD_JSON[name]
    check(lambda: parse_json(text, "card.json"), "card.json must be JSON", words)


def check(read: Any, begin: str, words: str) -> None:
    since = time.process_time()
    with pytest.raises(InputError) as caught:
        read()
    assert time.process_time() - since < 5
    line = str(caught.value)
    assert line.startswith(begin)
    assert words in line
    assert line.isprintable()
    assert len(line) < 400


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nb: [x, y]\nc: {d: 2.5, e: null}\n",
        "base: &b {x: 1}\nmore: {<<: *b, y: 2}\nagain: *b\n",
        "{}",
        "",
        "- 0x10\n- 1_000\n- .5\n- true\n- 12.5e+3\n",
    ],
)
def test_ordinary_yaml_is_read_as_pyyaml_reads_it(text: str) -> None:
    assert parse_yaml(text.encode(), "x") == yaml.safe_load(text)
    assert parse_yaml(b"\xef\xbb\xbf" + text.encode(), "x") == yaml.safe_load(text)


def test_scientific_notation_is_a_number() -> None:
    assert parse_yaml(b"[1e-2, 2E3, -1.5e+2, 1.e1, e5, 1e, 0e0]", "x") == [
        0.01,
        2000.0,
        -150.0,
        10.0,
        "e5",
        "1e",
        0.0,
    ]


def test_ordinary_json_is_read_as_it_stands() -> None:
    value = {"a": [1, 2.5, None, True, "é\u2028"], "b": {"c": {}}}
    assert parse_json(json.dumps(value), "x") == value
    assert parse_json(json.dumps(value).encode(), "x") == value
