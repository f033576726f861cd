"""`lsd train` writes a backbone that loads, and refuses what it cannot train."""

from pathlib import Path

import pytest
import torch
from rich.console import Console

from flows.config import load_grid
from flows.pipeline.grid_template import write_grid
from flows.pipeline.plan import make_plan
from flows.training import train_backbone
from lsd_core.backbones import storage
from lsd_core.backbones.catalog import load_backbone
from lsd_core.backbones.storage import read_notes
from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing
from lsd_core.training.config import TrainConfig
from lsd_core.training.loop import train
from lsd_core.training.sources import find_source


def test_a_trained_file_is_a_backbone_with_a_record_of_its_making(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    trained = train_backbone(
        "countdown", path, Console(quiet=True), family="sedd", length=8, steps=3, batch=2, dim=12, init=None
    )
    loaded = load_backbone(str(path))
    assert loaded.fingerprint == trained.fingerprint
    assert (loaded.length, loaded.family, loaded.name) == (8, "sedd", "mine")
    assert read_notes(path.read_bytes())["train"]["steps"] == 3
    again = tmp_path / "again.safetensors"
    train_backbone(
        "countdown", again, Console(quiet=True), family="sedd", length=8, steps=3, batch=2, dim=12, init=None
    )
    assert load_backbone(str(again)).tensors().keys() == loaded.tensors().keys()
    assert load_backbone(str(again)).fingerprint == loaded.fingerprint  # the same seed, the same weights


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"name": "countup"}, ["name", "countdown", "countup"]),
        ({"family": "gpt"}, ["family", "sedd", "gpt"]),
        ({"length": 1}, ["length", ">= 2", "1"]),
        ({"steps": 0}, ["steps", ">= 1", "0"]),
        ({"device": "tpu"}, ["device", "cpu, cuda or cuda:N", "tpu"]),
        ({"device": "cuda:99"}, ["device", "be one that is here", "use cpu"]),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, settings: dict, words: list[str]) -> None:
    given = {"name": "countdown", "family": "radd", "length": 8, "steps": 1, "init": None} | settings
    with pytest.raises(InputError) as caught:
        train_backbone(given.pop("name"), tmp_path / "x.safetensors", Console(quiet=True), **given)
    for word in words:
        assert word in str(caught.value)


def test_a_file_becomes_a_backbone_and_a_grid_that_plans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my molecules.smi").write_text("CCO\nC=O\nCCCC\nc1ccccc1\n" * 3)
    trained = train_backbone(
        "my molecules.smi", None, Console(width=200), family="radd", steps=2, batch=2, dim=12
    )
    said = capsys.readouterr().out
    weights = Path("my-molecules-radd-8.safetensors")
    assert storage.load_file(weights).fingerprint == trained.fingerprint
    assert "12 sequences of up to 8 tokens" in said
    assert f"Next: lsd grid {weights.with_suffix('.yaml')}" in said
    plan = make_plan(load_grid(str(weights.with_suffix(".yaml"))))
    assert {spec.evaluation.task for spec in plan.candidates} == {"sequences"}
    assert {spec.backbone.fingerprint for spec in plan.candidates} == {trained.fingerprint}
    vocabulary = Vocabulary.of(trained.config)
    assert vocabulary is not None
    assert vocabulary.decode(vocabulary.encode("CC=O")) == "CC=O"
    weights.with_suffix(".yaml").write_text("mine")
    write_grid(weights, 8)
    assert weights.with_suffix(".yaml").read_text() == "mine"  # what somebody changed is kept


def test_a_network_of_sequences_knows_where_they_begin_and_end(tmp_path: Path) -> None:
    """Rotary angles say how far apart tokens are: by them alone all masked positions have one prediction."""
    file, given = (
        tmp_path / "lines.txt",
        {"dim": 12, "num_heads": 2, "num_blocks": 1, "batch": 16, "lr": 3e-2},
    )
    file.write_text("abcd\nabc\nab\n" * 7)
    placed, blind = (
        train_backbone(
            str(file), tmp_path / f"{name}.safetensors", Console(quiet=True), steps=60, **given, **more
        )
        for name, more in (("placed", {}), ("blind", {"position_embedding": False}))
    )
    x = placed.process.prior(1, 4)
    first, others = (
        placed.head(placed.features(x, torch.ones(1))[0]).softmax(-1),
        blind.features(x, torch.ones(1)),
    )
    vocabulary = Vocabulary.of(placed.config)
    assert vocabulary is not None
    assert first[torch.arange(2), vocabulary.encode("ab")].min() > 0.7
    assert torch.allclose(others, others[:, :1].expand_as(others), atol=1e-5)

    # A network that started without goes on without, unless it is told otherwise.
    start = tmp_path / "blind.safetensors"
    onward = train_backbone(
        str(file), tmp_path / "on.safetensors", Console(quiet=True), steps=1, init=start, **given
    )
    assert onward.tensors().keys() == blind.tensors().keys()
    with pytest.raises(InputError, match="a network to start from"):
        train_backbone(
            str(file),
            tmp_path / "on.safetensors",
            Console(quiet=True),
            steps=1,
            init=start,
            position_embedding=True,
            **given,
        )


def test_a_checkpoint_of_other_data_is_refused(tmp_path: Path) -> None:
    data, path = tmp_path / "data.txt", tmp_path / "x.safetensors"

    class Stopped(Exception):
        pass

    def train_on(content: str, stop_at: int | None) -> None:
        data.write_text(content)
        source = find_source(str(data), None)

        def report(step: int, _: float) -> None:
            if step == stop_at:
                raise Stopped

        train(
            TrainConfig(steps=40, batch=2, dim=12),
            Absorbing(source.process("radd").num_tokens),
            source.length,
            source.draw,
            name="x",
            checkpoint=path.with_suffix(".checkpoint"),
            report=report,
            report_every=1,
            identity=source.identity,
        )

    with pytest.raises(Stopped):
        train_on("abab\nbaba\n", 12)
    with pytest.raises(InputError, match="checkpoint must be of the same training configuration"):
        train_on("abab\nbbbb\n", None)
    train_on("abab\nbaba\n", None)


def test_a_broken_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.with_suffix(".checkpoint").write_bytes(b"\x80\x04not a checkpoint")
    with pytest.raises(InputError, match="checkpoint must be one that `lsd train` wrote"):
        train_backbone("countdown", path, Console(quiet=True), length=8, steps=1, batch=2, dim=12)
