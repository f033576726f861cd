"""The absorbing process and its noise schedules against their definitions."""

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.processes import Absorbing, Geometric, LogLinear, Noise, noise_from_dict

NOISES = [LogLinear(), LogLinear(1e-5), LogLinear(0.3), Geometric(), Geometric(1e-2, 5.0)]


@pytest.mark.parametrize("noise", NOISES)
def test_rate_is_the_derivative_of_sigma_bar(noise: Noise) -> None:
    t = torch.linspace(0.01, 0.99, 41, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(noise.sigma_bar(t).sum(), t)
    torch.testing.assert_close(noise.rate(t.detach()), slope, rtol=1e-10, atol=0)
    torch.testing.assert_close(noise.alpha(t), torch.exp(-noise.sigma_bar(t)), rtol=1e-10, atol=1e-14)


def test_the_ends_of_the_schedules() -> None:
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(LogLinear(1e-3).alpha(ends), torch.tensor([1.0, 1e-3]).double())
    torch.testing.assert_close(Geometric(1e-4, 20.0).sigma_bar(ends), torch.tensor([1e-4, 20.0]).double())


@pytest.mark.parametrize("noise", NOISES)
def test_reveal_chance_is_the_posterior_of_the_forward_chain(noise: Noise) -> None:
    process = Absorbing(3, noise)
    t, s = (torch.tensor(value, dtype=torch.float64) for value in (0.8, 0.3))

    def forward(sigma: torch.Tensor) -> torch.Tensor:
        return torch.linalg.matrix_exp(sigma * process.rate_matrix())

    to_s, to_t = forward(noise.sigma_bar(s))[1], forward(noise.sigma_bar(t))[1]
    between = forward(noise.sigma_bar(t) - noise.sigma_bar(s))
    posterior = to_s[1] * between[1, process.mask] / to_t[process.mask]
    torch.testing.assert_close(process.reveal_chance(t, s), posterior, rtol=1e-9, atol=0)


@pytest.mark.parametrize("eps", [1e-5, 1e-3, 0.2])
def test_log_linear_reveals_at_rate_one_over_t_at_every_eps(eps: float) -> None:
    process = Absorbing(3, LogLinear(eps))
    t = torch.linspace(0.05, 1, 20, dtype=torch.float64)
    torch.testing.assert_close(process.noise.rate(t) * process.score_scale(t), 1 / t, rtol=1e-9, atol=0)
    torch.testing.assert_close(process.reveal_chance(t, 0.4 * t), torch.full_like(t, 0.6))
    torch.testing.assert_close(process.reveal_chance(t, 0 * t), torch.ones_like(t))


def test_rows_of_the_rate_matrix_sum_to_zero_and_lead_to_the_mask() -> None:
    q = Absorbing(3).rate_matrix()
    assert torch.equal(q.sum(1), torch.zeros(4, dtype=torch.float64))
    limit = torch.linalg.matrix_exp(50 * q)
    torch.testing.assert_close(limit[:, 3], torch.ones(4, dtype=torch.float64))


def test_records_survive_and_wrong_values_are_named() -> None:
    for noise in NOISES:
        assert noise_from_dict(noise.to_dict()) == noise
        assert Absorbing.from_dict(Absorbing(5, noise).to_dict()) == Absorbing(5, noise)
    for make in (lambda: LogLinear(0.0), lambda: Geometric(2.0, 1.0), lambda: Absorbing(1)):
        with pytest.raises(InputError, match=r"noise\.eps|noise\.smin|num_tokens"):
            make()
    with pytest.raises(InputError, match=r"noise\.kind must be one of"):
        noise_from_dict({"kind": "cosine"})
    with pytest.raises(InputError, match=r"process\.kind"):
        Absorbing.from_dict({"kind": "uniform"})


def test_the_prior_is_all_mask() -> None:
    assert torch.equal(Absorbing(3).prior(2, 4), torch.full((2, 4), 3))
