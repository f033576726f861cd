"""Grids and studies as YAML files: planned and costed, never run."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from flows.config import load_grid
from flows.pipeline.costs import plan_cost
from flows.pipeline.plan import make_plan
from flows.study.config import load_study
from flows.study.plan import make_study_plan
from tests.fuzz.outcomes import Case
from tests.fuzz.values import as_yaml, changed, spoiled

TEACHER = {"method": "exact", "steps": None, "trajectories": 8, "shard_rows": 8, "batch": 8, "seed": 0}
EVALUATION = {
    "samples": 8,
    "selection_samples": 8,
    "seeds": 2,
    "batch": 8,
    "temperatures": [1.0, 0.8],
    "metrics": [],
    "certificate_paths": 4,
}
GRID: dict[str, Any] = {
    "name": "fuzz",
    "backbones": ["countdown-exact"],
    "nfe": [2, 4],
    "samplers": ["euler", "halton"],
    "methods": ["plain", "temperature", "lsd", "path_kl"],
    "method_configs": {"lsd": {"epochs": 1, "learning_rate": 0.01}, "path_kl": {"price_sequences": 8}},
    "task": "countdown",
    "teacher": TEACHER,
    "evaluation": EVALUATION,
    "seed": 0,
    "sizes": "small",
    "store": None,
    "workers": 1,
    "num_gpus": 0,
}
STUDY: dict[str, Any] = {
    "name": "fuzz",
    "question": "Which is better?",
    "kind": "compare",
    "backbone": "countdown-exact",
    "nfe": [2, 4],
    "variants": [
        {"label": "plain", "method": "plain", "sampler": "euler"},
        {
            "label": "lsd {epochs}",
            "method": "lsd",
            "method_config": {"learning_rate": 0.01},
            "vary": {"epochs": [1, 2]},
            "teacher": {"trajectories": 16},
            "against": "plain",
            "nfe": [2],
        },
    ],
    "teacher": TEACHER,
    "evaluation": EVALUATION,
    "seed": 0,
    "workers": 1,
}
# Alone each of these is small; as they are read, some would be without end.
TEXTS = {
    "deep lists": "nfe: " + "[" * 5000,
    "deep mappings": "{a: " * 3000,
    "aliases": "a: &a [1,1,1,1,1,1,1,1,1]\n"
    + "".join(
        f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "an alias of itself": "nfe: &a [*a]\n",
    "5000 digits": "seed: " + "9" * 5000,
    "a key of keys": "? {a: b}\n: 1\n",
    "a Python object": "name: !!python/object/apply:os.system ['true']\n",
    "a date": "name: 2026-01-01\nnfe: 2026-01-01\n",
    "binary": "name: !!binary |\n  R0lGODlhDAAMAIQAAP\n",
    "a set": "nfe: !!set {4, 8}\n",
    "merged": "<<: {nfe: [4]}\n<<: {nfe: [8]}\n",
    "sexagesimal": "nfe: [1:30]\n",
    "octal": "nfe: [0o10, 010, 0x10]\n",
    "two documents": "nfe: [4]\n---\nnfe: [8]\n",
    "an anchor without end": "nfe: &a\n",
    "tabs": "teacher:\n\tsteps: 4\n",
    "text": "just words",
    "nothing": "",
    "a number": "7",
    "null": "null",
}


def grids(folder: Path, gen: Random, number: int) -> Iterator[Case]:
    """As `lsd plan FILE` reads them."""
    yield from _cases(
        "grid", folder, gen, number, GRID, lambda path: plan_cost(make_plan(load_grid(path)), None, 10.0)
    )


def studies(folder: Path, gen: Random, number: int) -> Iterator[Case]:
    """As `lsd study FILE` plans them."""
    yield from _cases("study", folder, gen, number, STUDY, lambda path: make_study_plan(load_study(path)))


def _cases(kind: str, folder: Path, gen: Random, number: int, base: Any, load: Any) -> Iterator[Case]:
    yield Case(kind, "as it is", partial(load, _written(folder, f"{kind}-base", as_yaml(base).encode())))
    for name, text in TEXTS.items():
        yield Case(
            kind, name, partial(load, _written(folder, f"{kind}-{len(name)}-{name[:2]}", text.encode()))
        )
    for index in range(number):
        record, what = changed(base, gen)
        if gen.random() < 0.3:
            record, more = changed(record, gen) if record else (record, "")
            what = f"{what}; {more}"
        data = as_yaml(record).encode()
        if gen.random() < 0.2:
            data, more = spoiled(data, gen)
            what = f"{what}; {more}"
        yield Case(kind, what, partial(load, _written(folder, f"{kind}-{index}", data)))


def _written(folder: Path, name: str, data: bytes) -> str:
    file = folder / f"{name}.yaml"
    file.write_bytes(data)
    return str(file)
