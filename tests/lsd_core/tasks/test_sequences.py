"""What is said of samples without a judge is the network's own likelihood, and how varied they are."""

import pytest
import torch

from lsd_core.backbones import storage
from lsd_core.backbones.countdown_chain import draw_sequences, exact_backbone
from lsd_core.backbones.markov import MarkovExact
from lsd_core.metrics.entropy import distinct
from lsd_core.tasks.catalog import get_task, task_of
from tests.lsd_core.oracles import entropy_of_data


def test_data_of_a_known_law_score_its_entropy() -> None:
    backbone = exact_backbone("tiny", 8, 4)
    tokens = draw_sequences(3, torch.arange(3000), 8, 4)
    scores = get_task("sequences").evaluate(tokens, backbone, 1)
    assert scores.metrics["nll"] == pytest.approx(entropy_of_data(8, 4), rel=0.02)
    assert scores.metrics["nll_per_token"] == pytest.approx(scores.metrics["nll"] / 8)
    assert scores.metrics["nll_per_token"] == pytest.approx(float(scores.primary.mean()))
    worse = torch.randint(0, 4, (500, 8), generator=torch.Generator().manual_seed(0))
    assert get_task("sequences").evaluate(worse, backbone, 1).metrics["nll"] > 2 * scores.metrics["nll"]


def test_repeating_oneself_shows() -> None:
    backbone = exact_backbone("tiny", 8, 4)
    same = draw_sequences(3, torch.zeros(40, dtype=torch.long), 8, 4)
    assert get_task("sequences").evaluate(same, backbone, 1).metrics["distinct_sequences"] == 1 / 40
    assert distinct(torch.tensor([[0, 1, 0, 1], [0, 1, 0, 2]]), 2) == pytest.approx(3 / 6)
    assert distinct(torch.tensor([[0, 1, 2, 3]]), 1) == 1.0


def test_a_backbone_that_names_no_task_is_judged_as_what_it_can_be() -> None:
    assert task_of(exact_backbone("mine", 8)) == "countdown"
    assert task_of(exact_backbone("other", 8, 4)) == "sequences"


def test_the_number_of_tokens_says_nothing_about_the_task() -> None:
    ours = exact_backbone("mine", 8)
    foreign = MarkovExact("foreign", ours.config, ours.tensors())
    assert foreign.process.num_states == 33
    assert task_of(foreign) == "sequences"


def test_a_file_declares_its_task_beside_its_identity() -> None:
    ours = exact_backbone("mine", 8)
    read = storage.from_bytes(storage.to_bytes(ours), "file")
    assert (task_of(read), read.fingerprint) == ("countdown", ours.fingerprint)
    silent = MarkovExact("foreign", ours.config, ours.tensors())
    trained = storage.from_bytes(
        storage.to_bytes(silent, {"task": "countdown"}), "file"
    )  # as `lsd train` notes it
    assert task_of(trained) == "countdown"
    assert task_of(storage.from_bytes(storage.to_bytes(silent), "file")) == "sequences"
