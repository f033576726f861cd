"""Countdown with permuted positions is judged along its chain, and its data are not drawn from left to right."""

import pytest
import torch

from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.countdown_chain import draw_sequences
from lsd_core.candidates.teacher import teacher_spec
from lsd_core.errors import InputError
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.state import Draws
from lsd_core.tasks.countdown import evaluate_countdown, show_countdown
from lsd_core.tasks.specimen import Strip


def test_samples_are_judged_and_shown_in_the_order_of_the_chain() -> None:
    backbone = load_backbone("countdown-scattered")
    chain = draw_sequences(0, torch.arange(64), 32, 16)
    tokens = torch.empty_like(chain)
    tokens[:, backbone.config["positions"]] = chain
    assert evaluate_countdown(tokens, backbone, 0).metrics["error"] == 0.0
    assert evaluate_countdown(chain, backbone, 0).metrics["error"] > 0.5
    shown = show_countdown(tokens[:1], backbone)[0]
    assert isinstance(shown, Strip)
    assert shown.values == tuple(chain[0].tolist())
    assert not any(shown.wrong)


def test_its_network_draws_countdowns_and_data_teachers_are_refused() -> None:
    backbone = load_backbone("countdown-scattered")
    paths = first_hitting(backbone, Draws(1, torch.arange(32)))
    assert paths.x_end is not None
    assert evaluate_countdown(paths.x_end.long(), backbone, 0).metrics["error"] < 0.01
    for name in ("countdown-scattered", "countdown-exact"):
        given = {"method": "data", "steps": None, "batch": 8, "shard_rows": 8, "seed": 0}
        if name == "countdown-exact":
            assert teacher_spec(load_backbone(name), **given).method == "data"  # type: ignore[arg-type]
        else:
            with pytest.raises(InputError, match="data can be drawn"):
                teacher_spec(load_backbone(name), **given)  # type: ignore[arg-type]


def test_its_grid_plans_every_base_sampler_with_what_can_fill_it() -> None:
    config = load_grid("scattered")
    plan = make_plan(config)
    assert {spec.sampler for spec in plan.candidates} == set(config.samplers)
    assert {"halton", "learned_order", "fixed_counts", "confidence", "bisection"} == set(config.samplers)
    learned = {(spec.sampler, spec.nfe) for spec in plan.candidates if spec.method == "path_kl"}
    assert learned == {(sampler, nfe) for sampler in config.samplers for nfe in (4, 8)}
    assert {spec.evaluation.task for spec in plan.candidates} == {"countdown"}
