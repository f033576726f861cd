"""Rows and uniforms on which fused kernels are compared with plain operations, on whichever device."""

from collections.abc import Callable, Iterator

import torch

from lsd_core.numerics import randomness
from lsd_core.numerics.randomness import Purpose
from lsd_core.paths.rows import Gain, fused_kl, fused_log_prob, right_kl, right_log_prob
from lsd_core.samplers import categorical
from lsd_core.samplers.categorical import right

ALMOST_ONE = 1 - 2.0**-53
WORD = 0xFFFFFFFF
SEED = 0xA4093822_299F31D0
Words = tuple[torch.Tensor, torch.Tensor | int, torch.Tensor]


def words(device: str = "cpu") -> Iterator[Words]:
    """Trajectories, calls and positions of every rank that is asked for, small and near 2^32."""
    few, many = torch.arange(5, device=device), torch.arange(300, device=device)
    yield few, 0, few
    yield few[3], WORD, few[1]  # numbers
    yield few[:, None], 1, WORD - many[None, :]
    yield few[:, None], few[:, None] + 7, many[None, :]
    yield WORD - few[:, None], (2**31 + few[:3])[:, None, None], many[:2]
    yield few[:, None, None], few[None, :2, None], few[None, None] + few[:, None, None]
    yield few[:, None, None, None], few[:2, None, None], many[:3, None]
    yield many[::7], few[:0, None], many[::7]  # none at all


def differing_uniforms(device: str = "cpu") -> int:
    """Uniforms of the fused kernel that are not those of the plain path, bit for bit."""
    wrong = 0
    for trajectory, call, position in words(device):
        for seed, purpose in ((0, Purpose.PRIOR), (SEED, Purpose.CONDITION), (2**64 - 1, Purpose.REVEAL)):
            plain = randomness._plain(seed, trajectory, call, position, purpose)
            fused = randomness._fused(seed, trajectory, call, position, purpose)
            assert fused.shape == plain.shape
            wrong += int((fused.view(torch.int64) != plain.view(torch.int64)).sum())
    return wrong


def rows(num_rows: int, num_tokens: int, dtype: torch.dtype, scale: float = 3.0) -> torch.Tensor:
    """Log-weights whose every third row has impossible tokens."""
    gen = torch.Generator().manual_seed(num_tokens)
    log_weights = scale * torch.randn(num_rows, num_tokens, generator=gen, dtype=torch.float64)
    log_weights[::3, num_tokens // 4 : num_tokens // 2] = -torch.inf
    return log_weights.to(dtype)


def at_boundaries(
    log_weights: torch.Tensor, power: float, shift: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows, uniforms so far above the begin (or, with a minus, below the end) of a token's interval, and that token.

    Of each row it is the third likeliest token; rows whose third is not so likely are left out.
    """
    probs = (power * log_weights.double()).softmax(-1)
    index = probs.topk(3).indices[:, -1:]
    own, end = probs.gather(1, index)[:, 0], probs.cumsum(-1).gather(1, index)[:, 0]
    long = own > 3 * abs(shift)
    uniform = torch.where(torch.tensor(shift > 0), end - own, end) + shift
    return log_weights[long], uniform[long].clamp(max=ALMOST_ONE), index[long, 0]


Draw = Callable[[torch.Tensor, float, torch.Tensor], torch.Tensor]


def wrong_tokens(draw: Draw, log_weights: torch.Tensor, power: float, uniform: torch.Tensor) -> int:
    """Tokens that no rounding up to the stated bound explains, among them all that are no tokens."""
    token = draw(log_weights, power, uniform)
    assert token.dtype == torch.long
    assert token.device == log_weights.device
    inside = (token >= 0) & (token < log_weights.shape[1])
    fine = right(token.clamp(0, log_weights.shape[1] - 1), log_weights, power, uniform)
    return int((~(inside & fine)).sum())


def differing_tokens(draw: Draw, log_weights: torch.Tensor, power: float, uniform: torch.Tensor) -> int:
    """Tokens that are not those of the plain path, whatever the reason."""
    plain = categorical._draw_plainly(log_weights, power, uniform)
    return int((draw(log_weights, power, uniform) != plain).sum())


def wrong_log_probs(log_weights: torch.Tensor, gain: Gain) -> int:
    """Fused log-probabilities, of a token a row, that are farther from the exact ones than is stated."""
    token = torch.arange(len(log_weights), device=log_weights.device) * 31 % log_weights.shape[1]
    found = fused_log_prob(log_weights, gain, token)
    assert found.dtype == torch.float64
    assert found.device == log_weights.device
    return int((~right_log_prob(found, log_weights, gain, token)).sum())


def wrong_divergences(log_q: torch.Tensor, gain_q: Gain, log_p: torch.Tensor, gain_p: Gain) -> int:
    """Fused divergences that are farther from the exact ones than is stated."""
    found = fused_kl(log_q, gain_q, log_p, gain_p)
    assert found.dtype == torch.float64
    assert found.device == log_q.device
    return int((~right_kl(found, log_q, gain_q, log_p, gain_p)).sum())
