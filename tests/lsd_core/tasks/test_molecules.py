"""The task molecules: what decides, what is refused, what is asked, and what is shown."""

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.ddit_backbone import DDiTBackbone, build_network
from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError
from lsd_core.metrics.extra import check_extras
from lsd_core.metrics.molecules.moses import LENGTH, VOCABULARY
from lsd_core.processes import Absorbing
from lsd_core.tasks.catalog import get_task, task_of
from lsd_core.tasks.evaluate import evaluate_tokens
from lsd_core.tasks.specimen import Diagram, Passage

TASK = get_task("molecules")


def untrained(vocabulary: Vocabulary = VOCABULARY) -> DDiTBackbone:
    """A small network that writes in these tokens."""
    torch.manual_seed(0)
    config = {
        "family": "radd",
        "process": Absorbing(len(vocabulary.tokens)).to_dict(),
        "length": LENGTH,
        "dim": 8,
        "num_blocks": 1,
        "num_heads": 1,
        "cond_dim": None,
        "body_dtype": "float32",
        "task": "molecules",
        "vocabulary": vocabulary.to_dict(),
    }
    return DDiTBackbone("mine", config, build_network(config))


def rows(*smiles: str) -> Tensor:
    """Padded tokens of SMILES."""
    encoded = [VOCABULARY.encode(text) for text in smiles]
    assert VOCABULARY.padding is not None
    return torch.tensor([row + [VOCABULARY.padding] * (LENGTH - len(row)) for row in encoded])


def test_the_share_of_what_is_no_molecule_decides() -> None:
    backbone = untrained()
    assert task_of(backbone) == "molecules"
    scores = evaluate_tokens("molecules", rows("OCC", "C(", "CCO", "c1ccccc1", ""), backbone, 0)
    assert scores.primary.tolist() == [0, 1, 0, 0, 1]
    assert scores.metrics["invalid"] == pytest.approx(0.4)
    assert scores.metrics["unique"] == pytest.approx(2 / 3)
    assert 0 < scores.metrics["int_div"] < 1
    assert scores.metrics["nll"] > 0


def test_where_nothing_is_a_molecule_the_rest_is_left_out() -> None:
    metrics = evaluate_tokens("molecules", rows("C(", ")C"), untrained(), 0).metrics
    assert metrics["invalid"] == 1
    assert not {"unique", "int_div"} & set(metrics)


def test_what_does_not_write_smiles_is_refused() -> None:
    TASK.check(untrained())
    with pytest.raises(InputError, match="write tokens of SMILES"):
        TASK.check(load_backbone("text-radd"))
    with pytest.raises(InputError, match="write tokens of SMILES"):
        TASK.check(load_backbone("countdown"))


def test_a_missing_package_is_said_before_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsd_core.metrics.molecules.parsing.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"task molecules must have the package rdkit.*\[molecules\]"):
        TASK.check(untrained())
    with pytest.raises(InputError, match="metric moses must have the package rdkit"):
        check_extras(["moses"], untrained(), 8)


def test_questions_are_scaffolds_that_leave_side_chains_free() -> None:
    backbone, draw = untrained(), TASK.conditions
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
    other = untrained(Vocabulary((*VOCABULARY.tokens[:-1], "P"), splitting="regex"))
    draw = TASK.conditions
    assert draw is not None
    with pytest.raises(InputError, match="have padding"):
        draw(other, 4, 0)


def test_a_molecule_is_drawn_and_what_is_none_is_written() -> None:
    assert TASK.show is not None
    drawn, written = TASK.show(rows("c1ccccc1O", "C("), untrained())
    assert isinstance(drawn, Diagram)
    assert drawn.caption == "c1ccccc1O"
    assert drawn.svg.lstrip().startswith("<?xml")
    assert "<path" in drawn.svg
    assert written == Passage("no molecule: C(")
