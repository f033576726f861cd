"""AntiBERTy from the files of its package: transformers' own output, no code executed, and the task `antibody`."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from lsd_core.backbones import storage
from lsd_core.backbones.antibody import LENGTH
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.masked_lm import IMPOSSIBLE
from lsd_core.backbones.vocabulary import Vocabulary, written
from lsd_core.errors import InputError
from lsd_core.metrics.likelihood import any_order_nll
from lsd_core.tasks.catalog import get_task, task_of
from tests.lsd_core.backbones.antibody_package import WORDS, write_package
from tests.lsd_core.metrics.antibodies import REAL, RESIDUES

pytest.importorskip("transformers")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """(transformers' model, the folder of a package that holds it), the package on the path."""
    model = write_package(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    load_backbone.cache_clear()
    yield model, tmp_path / "antiberty"
    load_backbone.cache_clear()


def test_log_probabilities_are_those_of_transformers(package) -> None:
    model, _ = package
    backbone = load_backbone("antibody")
    assert (backbone.length, backbone.process.num_tokens, backbone.mask) == (LENGTH, 25, 4)
    assert (backbone.before, backbone.after, backbone.never) == ([2], [3], [0, 1, 2, 3, 4])
    x = torch.randint(5, 25, (2, LENGTH), generator=torch.Generator().manual_seed(1))
    x[:, ::3] = backbone.process.mask
    inputs = torch.full((2, LENGTH + 2), 2)
    inputs[:, 1:-1], inputs[:, -1] = torch.where(x == 25, 4, x), 3
    with torch.inference_mode():
        theirs = model(input_ids=inputs, attention_mask=torch.ones_like(inputs)).logits[:, 1:-1]
    theirs = theirs.clone()
    theirs[..., :5] = IMPOSSIBLE
    ours = backbone.head(backbone.features(x, torch.ones(2)).flatten(0, 1)).view(theirs.shape)
    assert torch.equal(ours, theirs.log_softmax(-1))
    copy = storage.from_bytes(storage.to_bytes(backbone), "copy")
    assert copy.fingerprint == backbone.fingerprint
    assert "".join(Vocabulary.of(copy.config).tokens[5:]) == RESIDUES


def test_it_is_judged_by_the_hallmarks(package) -> None:
    backbone = load_backbone("antibody")
    assert task_of(backbone) == "antibody"
    task = get_task("antibody")
    task.check(backbone)
    rows = [sequence[:LENGTH] for sequence in REAL if len(sequence) >= LENGTH]
    tokens = torch.tensor([[WORDS.index(residue) for residue in row] for row in rows])
    assert written(backbone.config, tokens) == rows
    broken = torch.where(tokens == WORDS.index("C"), WORDS.index("S"), tokens)
    scores = task.evaluate(torch.cat([tokens, broken]), backbone, 0)
    assert scores.primary.tolist() == [0.0] * len(rows) + [1.0] * len(rows)
    assert scores.metrics["without_hallmarks"] == scores.metrics["without_core"] == 0.5
    assert scores.metrics["without_j_motif"] == 0.0
    assert scores.metrics["distinct_sequences"] == 1.0
    assert scores.metrics["perplexity"] > 1
    assert [shown.text for shown in task.show(tokens, backbone)] == rows


def test_a_package_that_is_missing_or_other_is_named(package, monkeypatch: pytest.MonkeyPatch) -> None:
    _, folder = package
    vocabulary = folder / "trained_models" / "vocab.txt"
    vocabulary.write_text("\n".join(reversed(WORDS)))
    with pytest.raises(InputError, match=r"tokens of antibody must begin with \[PAD\]"):
        load_backbone("antibody")
    monkeypatch.setattr("lsd_core.backbones.antibody.PACKAGE", "antiberty_of_nobody")
    with pytest.raises(InputError, match=r"find the package.*pip install -e '.\[antibody\]'"):
        load_backbone("antibody")


def test_what_writes_no_residues_or_is_short_is_refused() -> None:
    task = get_task("antibody")
    with pytest.raises(
        InputError, match="vocabulary of backbone text-radd must write one of the 20 residues"
    ):
        task.check(load_backbone("text-radd"))
    with pytest.raises(InputError, match=r"vocabulary of backbone countdown .* got none"):
        task.check(load_backbone("countdown"))


@pytest.mark.skipif(find_spec("antiberty") is None, reason="the extra [antibody] is not installed")
def test_the_trained_network_knows_antibodies() -> None:
    load_backbone.cache_clear()
    backbone = load_backbone("antibody")
    assert sum(tensor.numel() for tensor in backbone.tensors().values()) == pytest.approx(25.75e6, rel=0.01)
    real = torch.tensor([[WORDS.index(residue) for residue in REAL[0]]] * 8)
    shuffled = real[:, torch.randperm(LENGTH, generator=torch.Generator().manual_seed(0))]
    nll = [float(any_order_nll(backbone, tokens, 0).mean()) / LENGTH for tokens in (real, shuffled)]
    assert nll[0] < 1.0
    assert nll[1] > 2.5
