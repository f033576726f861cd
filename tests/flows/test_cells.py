"""A grid splits into cells whose names follow from what their cards depend on."""

import json
from pathlib import Path

import pytest

from flows.config import GridConfig, load_grid
from flows.pipeline.cell_jobs import cells_of, main
from flows.pipeline.plan import make_plan
from flows.settings import resolve


def names(config: GridConfig) -> list[str]:
    return [cell.key for cell in cells_of(config, resolve(config=config.places, env={}))]


def test_the_cells_together_are_the_grid() -> None:
    config = load_grid("demo", nfe=[4, 8], store="s3://bucket/lsd")
    cells = cells_of(config, resolve(config=config.places, env={}))
    assert [cell.label for cell in cells] == [
        f"countdown nfe{nfe} {samplers}" for nfe in (4, 8) for samplers in ("euler+tweedie", "halton")
    ]
    inside = [spec.key for cell in cells for spec in make_plan(cell.config).candidates]
    assert sorted(inside) == sorted(spec.key for spec in make_plan(config).candidates)
    assert {cell.config.store for cell in cells} == {"s3://bucket/lsd"}


def test_a_cell_asks_for_the_methods_that_can_fill_it() -> None:
    """And the first of a budget for those that bring their own sampler, so that nothing is done twice."""
    config = load_grid(
        "tiny", samplers=["euler", "halton"], methods=["plain", "lsd", "path_kl", "theta_trapezoidal"]
    )
    cells = {
        cell.label.split()[-1]: set(cell.config.methods)
        for cell in cells_of(config, resolve(config=config.places))
    }
    assert cells == {
        "euler": {"plain", "lsd", "path_kl", "theta_trapezoidal"},
        "halton": {"plain", "path_kl"},
    }


def test_a_name_feels_every_setting_and_the_store_and_nothing_else() -> None:
    base = load_grid("tiny", store="s3://bucket/a")
    assert names(base) == names(
        load_grid("tiny", store="s3://bucket/a", workers=7, ray_address="10.0.0.1:6379")
    )
    others = [
        load_grid("tiny", store="s3://bucket/b"),
        load_grid("tiny", store="s3://bucket/a", seed=1),
        load_grid("tiny", store="s3://bucket/a", **{"evaluation.samples": 65}),
        load_grid("tiny", store="s3://bucket/a", methods=["plain"]),
    ]
    assert len({names(base)[0], *(names(other)[0] for other in others)}) == 5


def test_bad_input_to_a_cell_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([json.dumps({"nfe": [0]})]) == 2
    assert main([json.dumps({"store": str(tmp_path / "no" / "where")})]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 2
