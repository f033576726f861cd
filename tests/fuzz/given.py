"""Conditions: the section of a grid, files of prompts and templates, and what specifications and cards say of them."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from flows.config import load_grid
from flows.pipeline.costs import plan_cost
from flows.pipeline.plan import make_plan
from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.samplers.template_file import read_templates
from lsd_core.trajectories.conditions import check_record
from tests.fuzz.configs import GRID
from tests.fuzz.outcomes import Case
from tests.fuzz.values import as_yaml, changed, spoiled

LINES: list[dict[str, Any]] = [
    {"prompt": [31, 30, 29]},
    {"prompt": "3 2 1"},
    {"infill": [3, None, 1, None]},
    {"infill": "3 ? 1", "blank": "?"},
    {"given": {"0": 5, "63": 1}},
]
SECTION = {"unconditional": 0.1, "held_out": 0.5, "templates": 8, "seed": 0}
RECORD = {
    "digest": "0123456789abcdef",
    "part": "learn",
    "held_out": 0.5,
    "templates": 2,
    "free": [61, 62],
    "unconditional": 0.1,
}


def given(folder: Path, gen: Random, number: int) -> Iterator[Case]:
    """As many of each of the three."""
    file = folder / "some.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in LINES))
    section = {"source": str(file)} | SECTION
    yield _grid(folder / "base.yaml", "as it is", GRID | {"conditions": section})
    yield _grid(folder / "task.yaml", "the task's own", _of_lists({"source": "task"} | SECTION))
    for index in range(number):
        record, what = changed(section, gen)
        base = _of_lists(record) if gen.random() < 0.3 else GRID | {"conditions": record}
        yield _grid(folder / f"{index}.yaml", what, base)
    backbone = exact_backbone("net", length=64)
    yield Case("conditions", "templates as they are", partial(read_templates, backbone, file))
    for index in range(number):
        lines, what = changed(LINES, gen)
        rows = lines if isinstance(lines, list) else [lines]
        data = "".join(f"{json.dumps(line)}\n" for line in rows).encode()
        if gen.random() < 0.3:
            data, more = spoiled(data, gen)
            what = f"{what}; {more}"
        spoilt = folder / f"{index}.jsonl"
        spoilt.write_bytes(data)
        yield Case("conditions", f"templates: {what}", partial(read_templates, backbone, spoilt))
    yield Case("conditions", "record as it is", partial(check_record, RECORD))
    for _ in range(number):
        record, what = changed(RECORD, gen)
        yield Case("conditions", f"record: {what}", partial(check_record, record))


def _of_lists(section: Any) -> dict[str, Any]:
    """A grid of the backbone whose task has conditions of its own."""
    return GRID | {"backbones": ["lists"], "task": "lists", "conditions": section}


def _grid(path: Path, what: str, record: dict[str, Any]) -> Case:
    path.write_text(as_yaml(record))
    return Case("conditions", what, lambda: plan_cost(make_plan(load_grid(str(path))), None, 10.0))
