"""Which of several evaluations of a backbone a report shows."""

from pathlib import Path

import pytest

from flows.pipeline.champions import remember_champions
from flows.pipeline.run import Run
from flows.report.candidates_on_store import specs_on
from tests.flows.report.conftest import GRID, filled

SMALL = {"methods": ["plain"], "samplers": ["euler"]}


def run_of(home: Path, nfe: list[int], samples: int) -> Run:
    sizes = {"samples": samples, "selection_samples": 4, "seeds": 1, "batch": 8, "certificate_paths": 2}
    return filled(dict(GRID) | SMALL | {"nfe": nfe, "evaluation": sizes | {"one_by_one": 0}}, home)


def name_champions(run: Run) -> None:
    for spec in run.plan.work:
        champions = {f"nfe{spec.nfe}": run.cards[spec.key].sha256}
        remember_champions(run.store, "countdown", spec.backbone.fingerprint, champions)


def shown(run: Run) -> tuple[set[tuple[int, int]], int]:
    specs, left_out = specs_on(run.store, "countdown")
    return {(spec.nfe, spec.evaluation.samples) for spec in specs}, left_out


@pytest.mark.slow
def test_a_larger_evaluation_is_shown_once_it_has_named_a_champion(tmp_path: Path) -> None:
    small = run_of(tmp_path / "lsd-data", [2, 4], samples=8)
    assert shown(small) == ({(2, 8), (4, 8)}, 0)
    name_champions(small)
    large = run_of(tmp_path / "lsd-data", [2], samples=16)  # as if interrupted before it came to 4
    assert shown(large) == ({(2, 8), (4, 8)}, 1)
    name_champions(large)
    assert shown(large) == ({(2, 16)}, 2)
