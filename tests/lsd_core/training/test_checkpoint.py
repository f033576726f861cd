"""A checkpoint that is not of this training, or not of numbers, is refused in one line before a step is made."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from lsd_core.backbones.countdown_chain import draw_sequences
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing
from lsd_core.training.config import TrainConfig
from lsd_core.training.loop import train
from lsd_core.training.text_judge import JudgeConfig, train_judge

CONFIG = TrainConfig(family="radd", dim=12, num_blocks=1, num_heads=2, steps=14, batch=2, warmup=1, lr=1e-2)
WEIGHT, AVERAGE = "network/output_layer.linear.weight", "average/output_layer.linear.weight"
Spoil = Callable[[dict[str, Tensor], dict[str, str]], None]


class Stopped(Exception):
    pass


def run(path: Path, stop_at: int = 0) -> list[int]:
    """Train from the checkpoint, if there is one; the steps that were reported."""
    steps = list[int]()

    def report(step: int, value: float) -> None:
        steps.append(step)
        if step == stop_at:
            raise Stopped

    def draw(seed: int, index: Tensor) -> Tensor:
        return draw_sequences(seed, index, 4, 3)

    train(CONFIG, Absorbing(3), 4, draw, name="n", checkpoint=path, report=report, report_every=1)
    return steps


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint of this training after some steps."""
    path = tmp_path_factory.mktemp("saved") / "x.checkpoint"
    with pytest.raises(Stopped):
        run(path, stop_at=12)
    return path.read_bytes()


def rewrite(path: Path, data: bytes, spoil: Spoil) -> None:
    path.write_bytes(data)
    with safe_open(path, "pt") as file:
        metadata, tensors = dict(file.metadata()), {key: file.get_tensor(key) for key in file.keys()}
    spoil(tensors, metadata)
    save_file(tensors, path, metadata)


def value(key: str, number: float) -> Spoil:
    def spoil(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        tensors[key].view(-1)[0] = number

    return spoil


def tensor(key: str, change: Callable[[Tensor], Tensor]) -> Spoil:
    def spoil(tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
        tensors[key] = change(tensors[key])

    return spoil


def gone(key: str) -> Spoil:
    return lambda tensors, metadata: tensors.__delitem__(key)


def step(text: str) -> Spoil:
    return lambda tensors, metadata: metadata.__setitem__("step", text)


NOT_FINITE = "values that are not finite"
SPOILED: dict[str, tuple[Spoil, list[str]]] = {
    "a weight that is NaN": (value(WEIGHT, torch.nan), [WEIGHT, NOT_FINITE]),
    "a weight that is infinite": (value(WEIGHT, -torch.inf), [WEIGHT, NOT_FINITE]),
    "an average that is NaN": (value(AVERAGE, torch.nan), [AVERAGE, NOT_FINITE]),
    "a first moment that is NaN": (value("moment/3/exp_avg", torch.nan), ["moment/3/exp_avg", NOT_FINITE]),
    "a second moment that is infinite": (
        value("moment/3/exp_avg_sq", torch.inf),
        ["moment/3/exp_avg_sq", NOT_FINITE],
    ),
    "a negative second moment": (value("moment/3/exp_avg_sq", -1.0), ["moment/3/exp_avg_sq", "negative"]),
    "moments of another step": (value("moment/3/step", -1.0), ["moment/3/step", "is -1 at step"]),
    "moments that are missing": (gone("moment/3/exp_avg"), ["moment/3/exp_avg is missing"]),
    "moments of too many parameters": (
        lambda tensors, metadata: tensors.update({"moment/999/step": torch.tensor(1.0)}),
        ["moment/999/step is of no use"],
    ),
    "an average that is missing": (gone(AVERAGE), [AVERAGE, "is missing"]),
    "an average of integers": (tensor(AVERAGE, Tensor.long), [AVERAGE, "torch.int64"]),
    "an average of half precision": (tensor(AVERAGE, Tensor.half), [AVERAGE, "torch.float16"]),
    "a weight of another shape": (tensor(WEIGHT, lambda of: of[:-1].clone()), [WEIGHT, "not torch.float32"]),
    "a negative step": (step("-1"), ["a step from 1 to 14", "step -1"]),
    "no step": (step("0"), ["a step from 1 to 14", "step 0"]),
    "a step beyond the last": (step("15"), ["a step from 1 to 14", "step 15"]),
    "a step of many digits": (step("9" * 5000), ["one that `lsd train` wrote"]),
}


@pytest.mark.parametrize("spoiled", SPOILED)
def test_what_cannot_be_continued_is_refused_before_a_step(
    spoiled: str, saved: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "x.checkpoint"
    spoil, words = SPOILED[spoiled]
    rewrite(path, saved, spoil)
    whole = path.read_bytes()
    with pytest.raises(InputError, match=r"^checkpoint must .*; remove it to start afresh$") as error:
        run(path, stop_at=1)
    for word in [str(path), *words]:
        assert word in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert path.read_bytes() == whole


def test_the_checkpoint_that_the_others_are_made_from_is_continued(saved: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.checkpoint"
    rewrite(path, saved, lambda tensors, metadata: None)
    steps = run(path)
    assert steps == [11, 12, 13, 14]


@pytest.mark.parametrize(
    ("key", "number", "words"),
    [
        ("best/head.weight", torch.nan, NOT_FINITE),
        ("held_out/nats", torch.nan, NOT_FINITE),
        ("network/head.weight", None, "is missing"),
        ("held_out/nats", None, "is missing"),
    ],
)
def test_a_judge_is_refused_alike(key: str, number: float | None, words: str, tmp_path: Path) -> None:
    config, path = JudgeConfig(embedding=4, hidden=6, length=16, steps=4, batch=2), tmp_path / "x.checkpoint"

    def stop(step: int, nats: float) -> None:
        if step == 2:
            raise Stopped

    with pytest.raises(Stopped):
        train_judge(config, report_every=1, report=stop, checkpoint=path)
    rewrite(path, path.read_bytes(), gone(key) if number is None else value(key, number))
    with pytest.raises(InputError, match=f"^checkpoint must .*{key} .*{words}.*; remove it"):
        train_judge(config, report_every=1, report=stop, checkpoint=path)
