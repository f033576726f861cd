"""Every process against its rate matrix: transitions, columns, staggering, prior, records."""

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.processes import (
    Absorbing,
    Exponential,
    Gaussian,
    Geometric,
    LogLinear,
    Process,
    Uniform,
    noise_from_dict,
    process_from_dict,
)

PROCESSES = [
    Absorbing(4),
    Absorbing(3, Geometric()),
    Uniform(5),
    Uniform(3, LogLinear()),
    Gaussian(6, rate_sigma=2.0, prior_sigma=3.0),
    Gaussian(7, rate_sigma=1.0, prior_sigma=2.0),
]
GROWTHS = [0.0, 0.3, 2.5, -0.4]


@pytest.mark.parametrize("process", PROCESSES)
def test_a_rate_matrix_is_one_and_leaves_the_prior_alone(process: Process) -> None:
    assert isinstance(process, Process)
    q, prior = process.rate_matrix(), process.prior_probs()
    size = process.num_states
    assert q.shape == (size, size)
    assert float((q - torch.diag(q.diag())).min()) >= 0
    torch.testing.assert_close(q.sum(1), torch.zeros(size, dtype=torch.float64), atol=1e-12, rtol=0)
    torch.testing.assert_close(prior @ q, torch.zeros(size, dtype=torch.float64), atol=1e-12, rtol=0)
    assert float(prior.sum()) == pytest.approx(1)
    limit = torch.linalg.matrix_exp(500 * q)
    torch.testing.assert_close(limit, prior.expand(size, size), atol=1e-6, rtol=0)


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("growth", GROWTHS)
def test_transitions_are_exponentials_of_the_rate_matrix(process: Process, growth: float) -> None:
    expected = torch.linalg.matrix_exp(growth * process.rate_matrix())
    torch.testing.assert_close(process.transition(growth), expected, atol=1e-10, rtol=0)
    x = torch.tensor([[0, 2, 1], [2, 2, process.num_states - 1]])
    torch.testing.assert_close(process.transition_into(x, growth), expected.T[x], atol=1e-10, rtol=0)
    torch.testing.assert_close(process.rates_into(x), process.rate_matrix().T[x], atol=1e-12, rtol=0)
    torch.testing.assert_close(process.rates_from(x), process.rate_matrix()[x], atol=1e-12, rtol=0)
    gen = torch.Generator().manual_seed(0)
    score = torch.rand(2, 3, process.num_states, generator=gen, dtype=torch.float64)
    backward = torch.linalg.matrix_exp(-growth * process.rate_matrix())
    torch.testing.assert_close(process.stagger(score, growth), score @ backward, atol=1e-9, rtol=0)


def test_gaussian_rates_are_those_of_tauldr() -> None:
    """Written out pair by pair, states counted from 1 as the paper's code does."""
    size, rate_sigma, prior_sigma = 8, 2.0, 5.0
    q = Gaussian(size, rate_sigma=rate_sigma, prior_sigma=prior_sigma).rate_matrix()
    pi = [torch.exp(torch.tensor(-((k - size / 2) ** 2) / (2 * prior_sigma**2))) for k in range(1, size + 1)]
    for x in range(size):
        for y in range(size):
            if x == y:
                continue
            inward = (x < size // 2 and x < y < size - x) or (x > size // 2 and size - 1 - x < y < x)
            back = (y < size // 2 and y < x < size - y) or (y > size // 2 and size - 1 - y < x < y)
            shape = float(torch.exp(torch.tensor(-((abs(x - y) - 1) ** 2) / rate_sigma**2)))
            expected = shape if inward else shape * float(pi[y] / pi[x]) if back else 0.0
            assert float(q[x, y]) == pytest.approx(expected, abs=1e-6)


def test_the_published_gaussian_is_well_behaved() -> None:
    process = Gaussian()
    growth = float(process.noise.sigma_bar(torch.tensor(1.0, dtype=torch.float64)))
    matrix = process.transition(growth)
    assert growth == pytest.approx(297)
    assert float(matrix.min()) > -1e-9
    torch.testing.assert_close(matrix.sum(1), torch.ones(256, dtype=torch.float64), atol=1e-8, rtol=0)
    torch.testing.assert_close(matrix[0], process.prior_probs(), atol=1e-3, rtol=0)


@pytest.mark.parametrize("noise", [Exponential(), Exponential(0.5, 4.0)])
def test_the_exponential_rate_is_the_derivative_of_sigma_bar(noise: Exponential) -> None:
    t = torch.linspace(0, 1, 21, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(noise.sigma_bar(t).sum(), t)
    torch.testing.assert_close(noise.rate(t.detach()), slope)
    torch.testing.assert_close(noise.alpha(t.detach()), torch.exp(-noise.sigma_bar(t.detach())))
    assert noise_from_dict(noise.to_dict()) == noise


@pytest.mark.parametrize("process", PROCESSES)
def test_a_process_survives_its_record(process: Process) -> None:
    assert process_from_dict(process.to_dict()) == process


def test_wrong_values_are_named() -> None:
    for make in (
        lambda: Uniform(1),
        lambda: Gaussian(1),
        lambda: Gaussian(8, rate_sigma=0.0),
        lambda: Exponential(scale=0.0),
        lambda: Exponential(base=1.0),
        lambda: process_from_dict({"kind": "rotary"}),
        lambda: Uniform.from_dict({"kind": "gaussian"}),
    ):
        with pytest.raises(InputError, match="must be"):
            make()
