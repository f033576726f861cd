"""Samples scored as a whole: perfect data, and what is refused."""

import numpy as np
import pytest
import torch

from lsd_core.backbones.countdown_chain import draw_sequences, exact_backbone
from lsd_core.errors import InputError
from lsd_core.statistics.intervals import summarise
from lsd_core.tasks.catalog import TASKS
from lsd_core.tasks.evaluate import evaluate_tokens

BACKBONE = exact_backbone("exact", 16)


def test_data_score_as_data():
    tokens = draw_sequences(1, torch.arange(256), 16)
    result = evaluate_tokens("countdown", tokens, BACKBONE, seed=0)
    assert result.samples == 256
    assert np.array_equal(result.primary, np.zeros(256))
    assert result.metrics["error"] == result.metrics["error_published"] == 0
    assert 2.5 < result.metrics["unigram_entropy"] < np.log(32)
    assert result.metrics["perplexity"] == pytest.approx(np.exp(result.metrics["nll"] / 16))
    task = TASKS["countdown"]
    assert {task.primary, task.diversity} <= set(result.metrics)
    assert summarise([result])["error"]["mean"] == 0


def test_the_primary_array_has_the_primary_metric_as_mean():
    tokens = draw_sequences(1, torch.arange(64), 16)
    tokens[::2, 5] = (tokens[::2, 5] + 3) % 32
    result = evaluate_tokens("countdown", tokens, BACKBONE, seed=0)
    assert result.metrics["error"] == pytest.approx(result.primary.mean())
    assert result.metrics["error"] > 0
    clean = evaluate_tokens("countdown", draw_sequences(1, torch.arange(64), 16), BACKBONE, seed=0)
    assert result.metrics["nll"] > clean.metrics["nll"] + 1


@pytest.mark.parametrize(
    ("task", "tokens", "complaint"),
    [
        ("chess", torch.zeros(2, 16, dtype=torch.long), "task must be one of .*'countdown'.*, got chess"),
        ("countdown", torch.zeros(2, 15, dtype=torch.long), "tokens must have shape"),
        ("countdown", torch.full((2, 16), 32), "none left masked"),
    ],
)
def test_bad_input_is_named(task, tokens, complaint):
    with pytest.raises(InputError, match=complaint):
        evaluate_tokens(task, tokens, BACKBONE, seed=0)
