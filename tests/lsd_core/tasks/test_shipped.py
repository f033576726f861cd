"""The shipped backbones of text and digits draw what their judges tell from noise, within the budget."""

import pytest
import torch

from lsd_core.backbones.catalog import load_backbone
from lsd_core.metrics.sudoku import complete_units
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.loop import generate
from lsd_core.samplers.state import Draws
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.tasks.catalog import get_task, task_of
from lsd_core.tasks.specimen import Diagram, Passage, Picture

COUNTS = StepTable(counts=(128, 100, 80, 64, 48, 32, 16, 6, 0))


@pytest.mark.parametrize("name", ["text-radd", "text-sedd"])
def test_text_scores_better_than_its_own_letters_in_another_order(name: str) -> None:
    backbone = load_backbone(name)
    assert sum(tensor.numel() for tensor in backbone.tensors().values()) <= 500_000
    assert backbone.length <= 128
    task = get_task(task_of(backbone))
    drawn = generate(backbone, "fixed_counts", COUNTS, 24, 0, batch=8)
    assert int(drawn.calls.max()) <= 8
    order = torch.randperm(128, generator=torch.Generator().manual_seed(0))
    own, shuffled = (task.evaluate(tokens, backbone, 0) for tokens in (drawn.tokens, drawn.tokens[:, order]))
    assert own.metrics["judge_nll"] < shuffled.metrics["judge_nll"]
    assert own.metrics["unigram_entropy"] == pytest.approx(shuffled.metrics["unigram_entropy"])
    assert task.show is not None
    shown = task.show(drawn.tokens[:2], backbone)
    assert all(isinstance(each, Passage) and len(each.text) == 128 for each in shown)


@pytest.mark.parametrize("name", ["digits-gaussian", "digits-uniform"])
def test_more_calls_bring_digits_nearer_to_real_ones(name: str) -> None:
    backbone = load_backbone(name)
    assert sum(tensor.numel() for tensor in backbone.tensors().values()) <= 500_000
    task = get_task(task_of(backbone))
    few, many = (generate(backbone, "tweedie", uniform_times(steps), 256, 0, batch=64) for steps in (2, 24))
    assert (int(few.calls.max()), int(many.calls.max())) == (2, 24)
    near, far = (task.evaluate(drawn.tokens, backbone, 0).metrics for drawn in (many, few))
    assert near["frechet"] < 0.5 * far["frechet"]
    assert near["label_entropy"] > 1.8
    assert task.show is not None
    assert isinstance(task.show(many.tokens[:1], backbone)[0], Picture)


@pytest.mark.slow
def test_the_exact_sampler_of_sudoku_solves_puzzles_and_one_call_fewer() -> None:
    backbone = load_backbone("sudoku-radd")
    assert sum(tensor.numel() for tensor in backbone.tensors().values()) <= 500_000
    task = get_task(task_of(backbone))
    assert task.name == "sudoku"
    assert task.conditions is not None
    puzzles = task.conditions(backbone, 128, 5)
    draws = Draws(0, torch.arange(len(puzzles)))
    with torch.inference_mode():
        solved = first_hitting(backbone, draws, puzzles).x_end
    assert bool(((solved == puzzles) | (puzzles == backbone.process.mask)).all())
    assert float(complete_units(solved).all(1).double().mean()) >= 0.9
    one = StepTable(counts=(36, 0))
    once = torch.cat([generate(backbone, "halton", one, 1, 0, given=puzzle).tokens for puzzle in puzzles])
    assert float(complete_units(once).all(1).double().mean()) < 0.8
    assert task.show is not None
    assert isinstance(task.show(solved[:1], backbone)[0], Diagram)
