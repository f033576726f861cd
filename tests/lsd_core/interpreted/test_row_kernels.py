"""Fused log-probabilities and divergences are exact within their stated error, and tell what is no distribution."""

import math

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.paths import divergence
from lsd_core.paths import rows as rowwise
from lsd_core.paths.divergence import CallRows, mean_kl, position_kl, token_log_probs
from lsd_core.paths.rows import ROUNDED, fused_kl, fused_log_prob, log_probs, normalised_kl
from lsd_core.processes import Absorbing
from lsd_core.samplers.draw_kernel import MOST_BLOCK
from tests.lsd_core.fused_cases import rows, wrong_divergences, wrong_log_probs
from tests.lsd_core.oracles import misfit_backbone

SIZES = [(tokens, torch.float32) for tokens in (1, 7, 1000, MOST_BLOCK, MOST_BLOCK + 1, 3 * MOST_BLOCK - 5)]
SIZES += [
    (tokens, kind)
    for tokens in (7, MOST_BLOCK + 1)
    for kind in (torch.bfloat16, torch.float16, torch.float64)
]
GAINS = torch.tensor([0.3, 0.7, 1.0, 1.5, 2.5, 1.0], dtype=torch.float64)[:, None]


@pytest.mark.parametrize(("tokens", "dtype"), SIZES)
def test_values_are_exact_within_the_stated_error(tokens: int, dtype: torch.dtype) -> None:
    log_q = rows(6, tokens, dtype)
    for gain in (0.7, GAINS):
        assert wrong_log_probs(log_q, gain) == 0
        for log_p in (log_q, 0.8 * log_q, log_q.roll(3, 0)):
            assert wrong_divergences(log_q, gain, log_p, 1.0) == 0


def test_equal_rows_are_nothing_apart_whatever_they_share() -> None:
    log_q = rows(6, 3000, torch.float32)
    assert fused_kl(log_q, GAINS, log_q, GAINS).tolist() == [0.0] * 6
    shared = torch.arange(6.0)[:, None] * 512  # exact in float32
    rounded = (log_q * 64).round() / 64
    assert fused_kl(rounded, 1.0, rounded + shared, 1.0).max() < ROUNDED / 20


def test_small_divergences_are_never_negative_and_near_the_exact_ones() -> None:
    """Far below the error that is stated for the worst case, since roundings of many tokens average out."""
    log_q = 2 * torch.randn(32, 5000, generator=torch.Generator().manual_seed(0))
    for scale in (1e-2, 1e-3, 1e-5):
        log_p = log_q + scale * torch.randn(32, 5000, generator=torch.Generator().manual_seed(1))
        exact = normalised_kl(log_probs(log_q, 1.0), log_probs(log_p, 1.0))
        found = fused_kl(log_q, 1.0, log_p, 1.0)
        assert bool((found >= 0).all())
        assert float((found - exact).abs().max()) < ROUNDED / 20


@pytest.mark.parametrize("offset", [-2000.0, 1000.0, 2e6])
def test_logits_may_lie_far_from_zero_and_far_apart(offset: float) -> None:
    log_q = rows(6, 3000, torch.float64)
    log_p = 0.7 * log_q.roll(1, 1) + offset
    log_p[:, ::7] = log_q[:, ::7] = -torch.inf
    log_q[::3], log_p[::3] = (
        rows(6, 3000, torch.float64)[1],
        offset,
    )  # no token that is possible under q alone
    assert wrong_divergences(log_q, 1.0, log_p, 1.0) == 0
    assert wrong_log_probs(log_p, 1.3) == 0
    steep = torch.full((1, 4097), -700.0)  # 4096 tokens of weight e^-700 beside one
    steep[0, 4000] = 0.0
    assert fused_log_prob(steep, 1.0, torch.tensor([4000])).abs().item() <= ROUNDED
    assert fused_log_prob(steep, 1.0, torch.tensor([3])).item() == pytest.approx(-700.0, abs=ROUNDED)


def test_a_token_that_is_excluded_makes_the_divergence_infinite_or_adds_nothing() -> None:
    log_q = torch.zeros(2, 3000)
    log_p = log_q.clone()
    log_q[0, 2500], log_p[1, 2500] = -torch.inf, -torch.inf
    assert fused_kl(log_q, 1.0, log_p, 1.0).tolist() == [
        pytest.approx(math.log(3000 / 2999), abs=4e-6),
        math.inf,
    ]
    assert fused_log_prob(log_q, 1.0, torch.tensor([2500, 2500])).tolist() == [
        -math.inf,
        pytest.approx(-math.log(3000), abs=ROUNDED),
    ]


def test_rows_may_lie_apart_and_there_may_be_none() -> None:
    wide = rows(8, 3001, torch.float32)
    for some in (wide[:, :-1], wide[::2, 1:], wide[:1].expand(8, -1), wide.T.contiguous().T):
        assert wrong_log_probs(some, 1.0) == 0
        assert wrong_divergences(some, 1.0, 0.5 * some, 1.0) == 0
    assert fused_kl(wide[:0], 1.0, wide[:0], 1.0).shape == (0,)
    assert fused_log_prob(wide[:0], 1.0, torch.zeros(0, dtype=torch.long)).shape == (0,)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_rows_that_are_no_distributions_are_refused(
    value: float, fused_on_cpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_weights = rows(4, 5000, torch.float32)
    log_weights[2, slice(4500, 4501) if value > 0 or math.isnan(value) else slice(None)] = value
    fine = rows(4, 5000, torch.float32).roll(1, 0)
    fine[fine == -torch.inf] = 0.0
    assert fused_kl(log_weights, 1.0, fine, 1.0).isnan().tolist() == [False, False, True, False]
    assert fused_kl(fine, 1.0, log_weights, 1.0).isnan().tolist() == [False, False, True, False]
    assert fused_log_prob(log_weights, 1.0, torch.arange(4)).isnan().tolist() == [False, False, True, False]

    backbone = misfit_backbone(2, 3, 3, timed=True)
    monkeypatch.setattr(backbone, "head", lambda features: log_weights[features[:, 0].long()])
    monkeypatch.setattr(backbone, "process", Absorbing(5000))
    features, where = torch.arange(4.0)[None, :, None], torch.ones(1, 4, dtype=torch.bool)
    at = where.nonzero(as_tuple=True)
    refused = pytest.raises(InputError, match="output of backbone table must have a finite largest value")
    for work in (
        lambda: token_log_probs(backbone, features, at, torch.zeros(4, dtype=torch.long)),
        lambda: mean_kl(backbone, features, 1.0, features, 1.0, where),
        lambda: position_kl(backbone, features, features, where),
        lambda: CallRows(backbone, features, where),
        lambda: CallRows(backbone, features, where & (features[..., 0] < 2)).kl_to(
            1.0, features.flip(1), where
        ),
    ):
        with refused:
            work()


def test_costs_are_those_of_plain_operations(request: pytest.FixtureRequest) -> None:
    backbone = misfit_backbone(4, 3, 3, timed=True)
    x = torch.full((4, 3), backbone.process.mask)
    early = backbone.features(x, torch.full((4,), 0.9).double())
    late = backbone.features(x, torch.tensor([0.1, 0.2, 0.3, 0.4]).double())
    where = torch.tensor(
        [[True, True, True], [True, False, True], [False, False, False], [False, True, False]]
    )
    at, tokens = where.nonzero(as_tuple=True), torch.arange(6) % 3

    def values() -> list[torch.Tensor]:
        call, some = CallRows(backbone, early, where), where & (torch.arange(3) > 0)
        return [
            token_log_probs(backbone, early, at, tokens, 1.5),
            mean_kl(backbone, early, torch.tensor([0.5, 1.0, 2.0, 4.0]).double(), late, 1.0, where),
            position_kl(backbone, early, late, where),
            *(call.kl_to_plain(gain, of) for gain in (1.0, 1.7) for of in (where, some)),
            *(call.kl_to(gain, late, some) for gain in (1.0, 1.7)),
        ]

    plain = values()
    request.getfixturevalue("fused_on_cpu")
    for fused, exact in zip(values(), plain, strict=True):
        assert fused.dtype == exact.dtype == torch.float64
        assert float((fused - exact).abs().max()) <= 4 * ROUNDED
        assert exact.abs().max() > 0 or bool((fused == 0).all())


def test_chunks_change_nothing(fused_on_cpu: None, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = misfit_backbone(4, 3, 3, timed=True)
    x, t = torch.full((4, 3), backbone.process.mask), torch.full((4,), 0.5).double()
    features, where = backbone.features(x, t), torch.ones(4, 3, dtype=torch.bool)
    whole = mean_kl(backbone, features, 1.7, features, 1.0, where)
    call = CallRows(backbone, features, where).kl_to_plain(1.7, where)
    monkeypatch.setattr(divergence, "FUSED_ELEMENTS", 8)
    assert torch.equal(mean_kl(backbone, features, 1.7, features, 1.0, where), whole)
    assert torch.equal(CallRows(backbone, features, where).kl_to_plain(1.7, where), whole)
    assert torch.equal(call, whole)


def test_kernels_that_differ_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert rowwise._difference(cpu) == ""
    for name in ("fused_kl", "fused_log_prob"):
        kernel = getattr(rowwise, name)
        with monkeypatch.context() as patched:
            patched.setattr(rowwise, name, lambda *given, kernel=kernel: kernel(*given) + 4 * ROUNDED)
            assert rowwise._difference(cpu).endswith(
                "of 32 values of 20000 logits in torch.float32 are others"
            )
