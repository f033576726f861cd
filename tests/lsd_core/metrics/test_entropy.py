"""Entropies against hand-computed cases and scipy."""

import math

import pytest
import scipy.stats
import torch

from lsd_core.metrics.entropy import sequence_entropy, unigram_entropy


def test_entropies_by_hand():
    tokens = torch.tensor([[0, 0, 5, 5], [7, 7, 7, 7]])
    pooled = [2 / 8, 2 / 8, 4 / 8]
    assert unigram_entropy(tokens) == pytest.approx(-sum(p * math.log(p) for p in pooled))
    assert sequence_entropy(tokens).tolist() == pytest.approx([math.log(2), 0.0])


def test_entropies_agree_with_scipy():
    tokens = torch.randint(0, 9, (20, 30), generator=torch.Generator().manual_seed(0)) ** 2
    assert unigram_entropy(tokens) == pytest.approx(scipy.stats.entropy(tokens.flatten().bincount().numpy()))
    each = [scipy.stats.entropy(row.bincount().numpy()) for row in tokens]
    assert sequence_entropy(tokens).tolist() == pytest.approx(each)
