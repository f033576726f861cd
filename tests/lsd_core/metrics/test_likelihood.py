"""The any-order NLL against enumeration of every subset, and against the data's known entropy."""

import itertools
import math

import pytest
import torch

from lsd_core.backbones.countdown_chain import draw_sequences, exact_backbone
from lsd_core.backbones.protocol import log_x0
from lsd_core.metrics.likelihood import any_order_nll, perplexity
from lsd_core.numerics.randomness import Purpose, uniform_grid
from tests.lsd_core.oracles import entropy_of_data


def enumerated_nll(backbone, x0):
    """l E_{n ~ U{1..l}} E_{n-subset} mean over the subset of -log p, by listing every subset."""
    length, total = len(x0), 0.0
    for n in range(1, length + 1):
        subsets = list(itertools.combinations(range(length), n))
        for subset in subsets:
            x = x0.clone()
            x[list(subset)] = backbone.process.mask
            log_p = log_x0(backbone, x[None], torch.ones(1, dtype=torch.float64))[0]
            total += sum(-float(log_p[i, x0[i]]) for i in subset) / n / len(subsets)
    return total


def test_nll_is_the_enumerated_mean_over_subsets():
    backbone = exact_backbone("tiny", 3, num_values=3)
    for x0 in (torch.tensor([2, 1, 0]), torch.tensor([1, 2, 2])):
        estimates = any_order_nll(backbone, x0.expand(6000, 3), seed=5, batch=1000)
        sem = float(estimates.std()) / math.sqrt(6000)
        assert float(estimates.mean()) == pytest.approx(enumerated_nll(backbone, x0), abs=4 * sem)


def test_nll_of_data_under_the_exact_conditionals_is_their_entropy():
    backbone = exact_backbone("exact", 64)
    estimates = any_order_nll(backbone, draw_sequences(1, torch.arange(1024), 64), seed=2)
    sem = float(estimates.std()) / 32
    assert float(estimates.mean()) == pytest.approx(
        entropy_of_data(64), abs=4 * sem + 0.05
    )  # smoothing: 0.03


def test_nll_does_not_depend_on_the_batch():
    backbone = exact_backbone("tiny", 8, num_values=4)
    tokens = draw_sequences(1, torch.arange(20), 8, 4)
    one, all_at_once = (
        any_order_nll(backbone, tokens, 3, batch=7),
        any_order_nll(backbone, tokens, 3, batch=20),
    )
    assert torch.equal(one, all_at_once)
    assert not torch.equal(one, any_order_nll(backbone, tokens, 4))


def test_a_time_conditioned_network_is_told_times_that_fit_the_masks():
    """t given n masked has the law Beta(n, l + 1 - n): its mean n / (l + 1) is seen in the calls."""

    backbone, seen = exact_backbone("tiny", 4, num_values=3), []
    features = backbone.features

    def recorded(x, t):
        seen.append(torch.stack([(x == backbone.process.mask).sum(1).double(), t]))
        return features(x, t)

    backbone.features = recorded
    tokens = (uniform_grid(0, torch.arange(4000), 0, 4, Purpose.DATA) * 3).long()
    any_order_nll(backbone, tokens, 7, batch=1000)
    n, t = torch.cat(seen, dim=1)
    for size in range(1, 5):
        assert int((n == size).sum()) == 1000  # stratified
        assert float(t[n == size].mean()) == pytest.approx(size / 5, abs=0.03)


def test_perplexity_is_per_token():
    assert perplexity(10 * math.log(3.0), 10) == pytest.approx(3.0)


def test_each_sequence_has_an_unbiased_estimate():
    """Of equal sequences the first is masked as much as the last, on average over seeds."""
    backbone = exact_backbone("tiny", 8, 4)
    tokens = draw_sequences(3, torch.zeros(16, dtype=torch.long), 8, 4)
    estimates = torch.stack([any_order_nll(backbone, tokens, seed) for seed in range(400)])
    first, last = estimates[:, 0], estimates[:, -1]
    error = float((first.var() + last.var()).sqrt() / 20)
    assert abs(float(first.mean() - last.mean())) < 4 * error
    assert abs(float(first.mean() - estimates.mean())) < 4 * error
