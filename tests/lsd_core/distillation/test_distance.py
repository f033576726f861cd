"""Distances by hand, and where their gains' optima lie."""

import math

import pytest
import torch

from lsd_core.distillation.distance import compared_rows, kl, l2, powered

TARGET = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]], dtype=torch.float64)
LAW = torch.tensor([[0.25, 0.25, 0.5], [0.2, 0.3, 0.5]], dtype=torch.float64)


def test_distances_by_hand():
    assert l2(TARGET, LAW.log()).tolist() == pytest.approx([0.0625 + 0.0625 + 0.25, 0.0])
    assert kl(TARGET, LAW.log()).tolist() == pytest.approx([math.log(2), 0.0])
    assert float(kl(2 * TARGET[1:], LAW[1:].log())[0]) == pytest.approx(2 * math.log(2) - 1)


def test_gradients_of_a_gain_on_the_score_are_the_formulas():
    """d/dphi |p* - phi p|^2 = 2 (phi <p, p> - <p*, p>); of the Poisson KL: sum p - sum p* / phi."""
    gain = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    l2(TARGET[:1], powered(LAW[:1].log(), gain, "score")).sum().backward()
    assert float(gain.grad) == pytest.approx(2 * (1.5 * 0.375 - 0.25))
    gain.grad = None
    kl(TARGET[:1], powered(LAW[:1].log(), gain, "score")).sum().backward()
    assert float(gain.grad) == pytest.approx(1 - 1 / 1.5)


def test_gradient_of_a_gain_on_the_log_score_is_the_formula():
    """d/dphi KL(p* || p^phi / Z) = E_{p^phi / Z} log p - E_{p*} log p."""
    gain = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    kl(TARGET[:1], powered(LAW[:1].log(), gain, "log_score")).sum().backward()
    sharp = LAW[0] ** 2 / (LAW[0] ** 2).sum()
    expected = float((sharp * LAW[0].log()).sum() - (TARGET[0] * LAW[0].log()).sum())
    assert float(gain.grad) == pytest.approx(expected)
    assert abs(expected) > 0.1


def test_a_log_score_gain_renormalises_and_a_score_gain_scales():
    gain = torch.tensor(3.0, dtype=torch.float64)
    assert powered(LAW.log(), gain, "log_score").exp().sum(-1).tolist() == pytest.approx([1.0, 1.0])
    assert torch.allclose(powered(LAW.log(), gain, "score").exp(), 3 * LAW)


def test_rows_masked_in_both_or_in_either():
    teacher, student = torch.tensor([[True, True, False]]), torch.tensor([[True, False, True]])
    assert compared_rows(teacher, student, "both").tolist() == [[True, False, False]]
    assert compared_rows(teacher, student, "all").tolist() == [[True, True, True]]


def test_a_row_of_zeros_stays_one_under_a_log_score_gain_and_has_no_gradient():
    gain = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    rows = torch.cat([torch.zeros(1, 3, dtype=torch.float64), LAW])
    powered_rows = powered(rows.log(), gain, "log_score")
    assert powered_rows.exp().sum(-1).tolist() == pytest.approx([0.0, 1.0, 1.0])
    l2(torch.cat([TARGET[:1], TARGET]), powered_rows).sum().backward()
    alone = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    l2(TARGET, powered(LAW.log(), alone, "log_score")).sum().backward()
    assert float(gain.grad) == pytest.approx(float(alone.grad))
