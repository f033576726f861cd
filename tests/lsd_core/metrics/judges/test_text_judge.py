"""The judge is an autoregressive law over characters, and only reads what is written in them."""

import itertools
from pathlib import Path

import pytest
import torch

from lsd_core.backbones.vocabulary import Vocabulary
from lsd_core.errors import InputError
from lsd_core.metrics.judges.text_judge import CharGRU, TextJudge, build_judge, judge_config, shipped_judge
from lsd_core.tasks.corpus import ALPHABET, load_corpus
from lsd_core.training.text_judge import JudgeConfig, train_judge


def small_judge(seed: int = 0) -> TextJudge:
    torch.manual_seed(seed)
    config = judge_config(Vocabulary(("a", "b", "c")), 4, 5)
    return TextJudge(config, build_judge(config, dropout=0.5))


def test_probabilities_of_all_sequences_sum_to_one() -> None:
    every = torch.tensor(list(itertools.product(range(3), repeat=4)))
    judge = small_judge()
    total = torch.exp(-judge.nll(every) * 4).sum()
    assert float(total) == pytest.approx(1.0, abs=1e-5)
    assert float(judge.nll(every).std()) > 0.01  # and they differ


def test_a_character_is_judged_by_what_stands_before_it_only() -> None:
    network = small_judge().network
    left, right = torch.tensor([[0, 1, 2, 0, 1]]), torch.tensor([[0, 1, 2, 2, 2]])
    assert torch.equal(network(left)[:, :3], network(right)[:, :3])
    assert not torch.equal(network(left)[:, 4], network(right)[:, 4])


def test_a_file_of_another_shape_or_kind_is_refused() -> None:
    judge = small_judge()
    file = judge.to_file({"why": "test"})
    again = TextJudge.from_bytes(file.to_bytes(), "judge.safetensors")
    x = torch.tensor([[0, 1, 2]])
    assert torch.equal(again.nll(x), judge.nll(x))
    wider = {**file.config, "hidden": 6}
    with pytest.raises(InputError, match=r"tensor .* must have shape"):
        TextJudge.from_bytes(type(file)(name="n", config=wider, tensors=file.tensors).to_bytes(), "f")
    with pytest.raises(InputError, match="configuration in f must have the keys"):
        TextJudge.from_bytes(type(file)(name="n", config={}, tensors=file.tensors).to_bytes(), "f")
    for broken in ({"hidden": -1}, {"embedding": "wide"}, {"vocabulary": None}):
        data = type(file)(name="n", config=file.config | broken, tensors=file.tensors).to_bytes()
        with pytest.raises(InputError):
            TextJudge.from_bytes(data, "f")


def test_only_its_own_characters_are_judged() -> None:
    judge = small_judge()
    judge.check_vocabulary(Vocabulary(("a", "b", "c")))
    for other in (None, Vocabulary(("a", "b")), Vocabulary(("b", "a", "c"))):
        with pytest.raises(InputError, match="vocabulary of the backbone"):
            judge.check_vocabulary(other)


def test_the_shipped_judge_prefers_english_it_has_not_seen() -> None:
    judge, corpus = shipped_judge(), load_corpus()
    assert judge.vocabulary.tokens == tuple(ALPHABET)
    text = corpus.tokens("train")[: 128 * 40].view(40, 128)  # the backbones' half
    gen = torch.Generator().manual_seed(0)
    letters = text.flatten()[torch.randperm(text.numel(), generator=gen)].view(40, 128)
    english, shuffled = float(judge.nll(text).mean()), float(judge.nll(letters).mean())
    assert english < 1.6
    assert shuffled > english + 1.5


class Stopped(Exception):
    pass


def test_a_resumed_judge_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    config = JudgeConfig(embedding=4, hidden=6, length=16, steps=8, batch=4)
    whole, notes = train_judge(config, report_every=2)
    path = tmp_path / "judge.checkpoint"

    def stop(step: int, nats: float) -> None:
        if step == 6:
            raise Stopped

    with pytest.raises(Stopped):
        train_judge(config, report_every=2, report=stop, checkpoint=path)
    steps: list[int] = []
    resumed, again = train_judge(
        config, report_every=2, report=lambda step, _: steps.append(step), checkpoint=path
    )
    assert steps == [6, 8]
    assert again == notes
    tensors = whole.network.state_dict()
    assert all(torch.equal(value, tensors[key]) for key, value in resumed.network.state_dict().items())
    assert isinstance(resumed.network, CharGRU)
