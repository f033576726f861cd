"""JSON and YAML written by somebody else, read strictly as plain data: whatever else it holds is one InputError.

Refused beside bad syntax: bytes that are not UTF-8, a key given twice, numbers that are not finite or have thousands
of digits, nesting that exhausts the stack, and YAML aliases that multiply into more nodes than a config ever has.
"""

import json
import math
import re
from collections.abc import Hashable, Iterable
from typing import Any

import yaml

from lsd_core.errors import InputError

DEEPEST = 100  # levels of a YAML document
MOST_NODES = 100_000  # of a YAML document, aliases counted as often as they are used
_SCIENTIFIC = re.compile(
    r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+"
)  # YAML 1.2; 1.1 reads 1e-2 as text


def parse_json(text: str | bytes, source: str, rule: str = "be JSON") -> Any:
    """The content of a JSON file; InputError names `source` that it must `rule`."""
    try:
        decoded = text if isinstance(text, str) else text.decode()
        return json.loads(
            decoded, object_pairs_hook=_record, parse_constant=_not_finite, parse_float=_finite_float
        )
    except RecursionError:
        raise InputError(source, rule, "text nested too deeply") from None
    except ValueError as error:  # syntax, encoding, and what the hooks refuse
        raise InputError(source, rule, f"text with an error ({_one_line(error)})") from None


def parse_yaml(data: bytes, source: str, rule: str = "be YAML") -> Any:
    """The content of a YAML file in UTF-8, or InputError that names `source`."""
    try:
        loader = _Loader(data.decode("utf-8-sig"))
        node = loader.get_single_node()
        if node is None:
            return None
        _expanded_size(node, {})
        return loader.construct_document(node)
    except UnicodeDecodeError as error:
        raise InputError(source, "be text in UTF-8", f"{error.reason} at byte {error.start}") from None
    except RecursionError:
        raise InputError(source, rule, "text nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise InputError(source, rule, _one_line(error)) from None


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, where a key may stand only once, 1e-2 is a number, and nesting has an end."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > DEEPEST:
            raise RecursionError
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            problem = f"the key {twice} is given twice"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _SCIENTIFIC, list("-+0123456789"))


def _expanded_size(node: yaml.Node, known: dict[int, int]) -> int:
    """Nodes of a document with every alias written out; ValueError for too many, or for one inside itself."""
    if id(node) in known:
        if known[id(node)] == 0:
            raise ValueError("an alias lies inside what it names")
        return known[id(node)]
    known[id(node)] = 0  # begun
    size = 1 + sum(_expanded_size(child, known) for child in _children(node))
    if size > MOST_NODES:
        raise ValueError(f"more than {MOST_NODES} values, aliases written out")
    known[id(node)] = size
    return size


def _children(node: yaml.Node) -> Iterable[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)} is given twice")
    return record


def _not_finite(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _finite_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large")
    return value


def _one_line(error: Exception) -> str:
    """The reason, on one line: of PyYAML's errors the problem and its place, without the document around it."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"{error.problem} in line {mark.line + 1}, column {mark.column + 1}"
    return " ".join(str(error).split())[:200]
