"""The task molecules: what decides, what is refused, what is asked, and what is shown."""

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.storage import build
from lsd_core.errors import InputError
from lsd_core.metrics.extra import check_extras
from lsd_core.metrics.molecules.moses import LENGTH, VOCABULARY
from lsd_core.tasks.catalog import get_task, task_of
from lsd_core.tasks.evaluate import evaluate_tokens
from lsd_core.tasks.specimen import Diagram, Passage

NAME = "molecules-radd"
TASK = get_task("molecules")


def rows(*smiles: str) -> Tensor:
    """Padded tokens of SMILES."""
    encoded = [VOCABULARY.encode(text) for text in smiles]
    assert VOCABULARY.padding is not None
    return torch.tensor([row + [VOCABULARY.padding] * (LENGTH - len(row)) for row in encoded])


def test_the_share_of_what_is_no_molecule_decides() -> None:
    backbone = load_backbone(NAME)
    assert task_of(backbone) == "molecules"
    scores = evaluate_tokens("molecules", rows("OCC", "C(", "CCO", "c1ccccc1", ""), backbone, 0)
    assert scores.primary.tolist() == [0, 1, 0, 0, 1]
    assert scores.metrics["invalid"] == pytest.approx(0.4)
    assert scores.metrics["unique"] == pytest.approx(2 / 3)
    assert 0 < scores.metrics["int_div"] < 1
    assert scores.metrics["nll"] > 0


def test_where_nothing_is_a_molecule_the_rest_is_left_out() -> None:
    metrics = evaluate_tokens("molecules", rows("C(", ")C"), load_backbone(NAME), 0).metrics
    assert metrics["invalid"] == 1
    assert not {"unique", "int_div"} & set(metrics)


def test_what_does_not_write_smiles_is_refused() -> None:
    TASK.check(load_backbone(NAME))
    with pytest.raises(InputError, match="write tokens of SMILES"):
        TASK.check(load_backbone("text-radd"))
    with pytest.raises(InputError, match="write tokens of SMILES"):
        TASK.check(load_backbone("countdown"))


def test_a_missing_package_is_said_before_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsd_core.metrics.molecules.parsing.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"task molecules must have the package rdkit.*\[molecules\]"):
        TASK.check(load_backbone(NAME))
    with pytest.raises(InputError, match="metric moses must have the package rdkit"):
        check_extras(["moses"], load_backbone(NAME), 8)


def test_questions_are_scaffolds_that_leave_side_chains_free() -> None:
    backbone, draw = load_backbone(NAME), TASK.conditions
    assert draw is not None
    templates = draw(backbone, 12, 3)
    assert torch.equal(templates, draw(backbone, 12, 3))
    assert not torch.equal(templates, draw(backbone, 12, 4))
    assert templates.shape == (12, LENGTH)
    mask = backbone.process.num_tokens
    free = (templates == mask).sum(1)
    assert int(free.min()) >= 4
    assert bool((free < (templates != VOCABULARY.padding).sum(1)).all())


def test_questions_need_padding() -> None:
    shipped = load_backbone(NAME)
    record = VOCABULARY.to_dict()
    bare = record | {"tokens": [*record["tokens"][:-1], "P"]}
    other = build("mine", shipped.config | {"vocabulary": bare}, shipped.tensors())
    draw = TASK.conditions
    assert draw is not None
    with pytest.raises(InputError, match="have padding"):
        draw(other, 4, 0)


def test_a_molecule_is_drawn_and_what_is_none_is_written() -> None:
    assert TASK.show is not None
    drawn, written = TASK.show(rows("c1ccccc1O", "C("), load_backbone(NAME))
    assert isinstance(drawn, Diagram)
    assert drawn.caption == "c1ccccc1O"
    assert drawn.svg.lstrip().startswith("<?xml")
    assert "<path" in drawn.svg
    assert written == Passage("no molecule: C(")
