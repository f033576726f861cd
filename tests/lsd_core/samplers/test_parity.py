"""Parity: samplers draw the tokens that plain loops draw from the same uniforms, and choose as diffusers does."""

from math import exp, log

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.backbones.protocol import Backbone
from lsd_core.numerics.randomness import Purpose, uniforms
from lsd_core.samplers.catalog import SAMPLERS
from lsd_core.samplers.categorical import draw_categorical
from lsd_core.samplers.confidence import Confidence
from lsd_core.samplers.entropy_bound import EntropyBound
from lsd_core.samplers.masked import MaskedKernel, MaskedPrediction
from lsd_core.samplers.remdm import ReMDMCap, ReMDMConfidence, ReMDMLoop, ReMDMRescale
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable, uniform_times
from lsd_core.samplers.threshold import Threshold
from tests.lsd_core.oracles import misfit_backbone

SEED, CHAINS = 17, 40
TIMED = misfit_backbone(6, 3, 5, timed=True)
COUNTS = StepTable(counts=(5, 3, 2, 0), gains=(1.6, 0.7, 1.2))


def ours(sampler, backbone: Backbone, table: StepTable) -> list[list[int]]:
    draws = Draws(SEED, torch.arange(CHAINS))
    state = start(backbone, draws)
    for step in steps_of(table, backbone.length):
        state = sampler.step(backbone, state, step, draws)
    return state.x.tolist()


def uniform(chain: int, call: int, position: int, purpose: Purpose) -> float:
    return float(uniforms(SEED, torch.tensor(chain), call, torch.tensor(position), purpose))


def predicted(backbone: Backbone, x: list[int], t: float, gain: float) -> list[list[float]]:
    """The x0 distributions of every position under a gain on the log-score."""
    features = backbone.features(torch.tensor([x]), torch.tensor([t], dtype=torch.float64))
    rows = []
    for logits in backbone.head(features[0]).double().tolist():
        weights = [exp(gain * (value - max(logits))) for value in logits]
        rows.append([weight / sum(weights) for weight in weights])
    return rows


def inverted(p: list[float], u: float) -> int:
    """The first token whose cumulative probability exceeds u."""
    total = 0.0
    for token, chance in enumerate(p):
        total += chance
        if total > u:
            return token
    raise AssertionError("the probabilities sum to less than the uniform")


def entropy(p: list[float]) -> float:
    return -sum(chance * log(chance) for chance in p if chance > 0)


def margin(p: list[float]) -> float:
    first, second = sorted(p, reverse=True)[:2]
    return first - second


def plain_adaptive(name: str, chain: int) -> list[int]:
    x = [3] * 5
    for step in steps_of(COUNTS, 5):
        masked = [i for i in range(5) if x[i] == 3]
        if not masked:
            break
        assert step.counts is not None
        quota = step.counts[0] - step.counts[1]
        n = len(masked) if name == "entropy_bound" else step.counts[0]
        p = predicted(TIMED, x, 1.0 if n == 5 else n / 6, step.gain)
        call = step.index if name == "confidence_drawn" else 0
        token = {i: inverted(p[i], uniform(chain, call, i, Purpose.TOKEN)) for i in masked}
        doubt = {
            "confidence": lambda i, p=p: -max(p[i]),
            "margin": lambda i, p=p: -margin(p[i]),
            "entropy": lambda i, p=p: entropy(p[i]),
            "entropy_bound": lambda i, p=p: entropy(p[i]),
            "confidence_drawn": lambda i, p=p, token=token: -p[i][token[i]],
        }[name]
        order = sorted(masked, key=lambda i: (doubt(i), i))
        if name == "entropy_bound":
            quota = len(order) if step.last else 1
            while quota < len(order) and sum(entropy(p[i]) for i in order[:quota]) <= 1.1:
                quota += 1
        for i in order[:quota]:
            x[i] = token[i]
    return x


@pytest.mark.parametrize("name", ["confidence", "margin", "entropy", "confidence_drawn", "entropy_bound"])
def test_samplers_that_look_at_the_prediction_draw_as_plain_loops_do(name: str) -> None:
    """With gains, on a network that is conditioned on time."""
    sampler = EntropyBound(1.1) if name == "entropy_bound" else SAMPLERS[name]
    plain = [plain_adaptive(name, chain) for chain in range(CHAINS)]
    assert ours(sampler, TIMED, COUNTS) == plain
    assert len({tuple(x) for x in plain}) > 15


def test_blocks_come_from_left_to_right_at_random_inside_as_in_plain_loops() -> None:
    backbone = exact_backbone("blocks", 40, num_values=4)
    table = StepTable(counts=(40, 28, 11, 6, 0))
    plain = []
    for chain in range(CHAINS):
        key = [(i // 32, uniform(chain, 0, i, Purpose.ORDER)) for i in range(40)]
        order, x = sorted(range(40), key=lambda i, key=key: key[i]), [4] * 40
        for n, m in ((40, 28), (28, 11), (11, 6), (6, 0)):
            p = predicted(backbone, x, 1.0 if n == 40 else n / 41, 1.0)
            for i in order[40 - n : 40 - m]:
                x[i] = inverted(p[i], uniform(chain, 0, i, Purpose.TOKEN))
        plain.append(x)
    assert ours(SAMPLERS["blocks"], backbone, table) == plain


def plain_remdm(name: str, eta: float, chain: int) -> tuple[list[int], int]:
    """Tokens of one chain, and how many were masked again."""
    backbone, x, confidence, again = misfit_backbone(5, 3, 4), [3] * 4, [0.0] * 4, 0
    table = uniform_times(8)
    for k in range(8):
        t, s = table.grid[k], table.grid[k + 1]
        if name == "remdm_loop":
            t, s = (looped(each) for each in (t, s))
        alpha_t, alpha_s = (1 - (1 - 1e-3) * each for each in (t, s))
        most = min(1.0, (1 - alpha_s) / alpha_t)
        sigma = eta * most if name == "remdm_rescale" else min(eta, most)
        if s == 0 or (name == "remdm_loop" and t != s):
            sigma = 0.0
        chance = 1.0 if s == 0 else (alpha_s - (1 - sigma) * alpha_t) / (1 - alpha_t)
        p = predicted(backbone, x, t, 1.0)
        before = list(x)
        kept = [i for i in range(4) if before[i] != 3]
        share = {i: exp(-confidence[i]) / sum(exp(-confidence[j]) for j in kept) for i in kept}
        for i in range(4):
            if before[i] == 3 and uniform(chain, k, i, Purpose.REVEAL) < chance:
                x[i] = inverted(p[i], uniform(chain, k, i, Purpose.TOKEN))
                confidence[i] = p[i][x[i]]
            elif before[i] != 3:
                own = sigma * share[i] if name == "remdm_confidence" else sigma
                if uniform(chain, k, i, Purpose.MASK) < own:
                    x[i], again = 3, again + 1
    return x, again


def looped(t: float) -> float:
    """Down to 0.1 at 0.45, there until 0.05, then to 0."""
    if t >= 0.45:
        return 0.1 + 0.9 * (t - 0.45) / 0.55
    return 0.1 if t >= 0.05 else 0.1 * t / 0.05


@pytest.mark.parametrize(
    "sampler", [ReMDMCap(0.4), ReMDMRescale(0.5), ReMDMConfidence(0.9), ReMDMLoop(0.4)], ids=lambda s: s.name
)
def test_remdm_masks_again_and_draws_as_plain_loops_do(sampler) -> None:
    plain = [plain_remdm(sampler.name, sampler.eta, chain) for chain in range(CHAINS)]
    assert ours(sampler, misfit_backbone(5, 3, 4), uniform_times(8)) == [x for x, _ in plain]
    assert sum(again for _, again in plain) > 10


def some_states(seed: int) -> tuple[Tensor, Tensor]:
    """States of 5 positions with at least one mask, and logits."""
    gen = torch.Generator().manual_seed(seed)
    x = torch.randint(0, 3, (200, 5), generator=gen)
    x = torch.where(torch.rand(200, 5, generator=gen) < 0.6, 3, x)
    x[:, 2] = 3
    return x, 2 * torch.randn(200, 5, 3, generator=gen, dtype=torch.float64)


def chosen(sampler, x: Tensor, logits: Tensor, gain: float = 1.0) -> Tensor:
    """Where our sampler unmasks, in the middle of a table whose steps take two."""
    step = Step(1, 0.7, 0.4, gain, "log_score", counts=(4, 2))
    seen = MaskedPrediction.of(misfit_backbone(1, 3, 5), x, logits, step)
    kernel = sampler.kernel(seen, step)
    assert isinstance(kernel, MaskedKernel)
    where = torch.zeros_like(x, dtype=torch.bool)
    where[seen.rows] = kernel.choose(Draws(0, torch.arange(len(x))), 1)
    return where


def test_at_a_temperature_the_entropy_bound_is_that_of_diffusers() -> None:
    module = pytest.importorskip("diffusers.schedulers.scheduling_entropy_bound")
    _, logits = some_states(1)
    x = torch.full((200, 5), 3)
    scheduler = module.EntropyBoundScheduler(entropy_bound=0.6, t_max=0.8, t_min=0.4, num_inference_steps=4)
    for timestep, temperature in ((0, 0.8), (2, 0.6)):
        theirs = scheduler.step(logits, timestep, x).accepted_index
        assert torch.equal(chosen(EntropyBound(0.6), x, logits, 1 / temperature), theirs)
        assert set(theirs.sum(1).tolist()) >= {1, 2, 3}


def test_confidence_and_threshold_choose_as_the_block_refinement_of_diffusers() -> None:
    """Greedy tokens there, so that their confidence is the largest probability; quotas of 2, or 1 and a threshold."""
    module = pytest.importorskip("diffusers.schedulers.scheduling_block_refinement")
    x, logits = some_states(2)
    for sampler, steps, threshold in ((Confidence(), 2, 1.0), (Threshold(0.6), 5, 0.6)):
        scheduler = module.BlockRefinementScheduler(block_length=5, threshold=threshold)
        scheduler.set_timesteps(steps)
        found = scheduler.step(logits, steps - 1, x, mask_token_id=3)
        assert torch.equal(chosen(sampler, x, logits), found.transfer_index)
        assert set(found.transfer_index.sum(1).tolist()) >= {1, 2}


def test_confidence_drawn_is_block_refinement_from_the_same_uniforms() -> None:
    """One block, its tokens drawn with our uniforms, what is committed decided by diffusers, step after step."""
    module = pytest.importorskip("diffusers.schedulers.scheduling_block_refinement")
    draws, backbone = Draws(SEED, torch.arange(100)), misfit_backbone(6, 3, 5)

    class SameUniforms(module.BlockRefinementScheduler):  # type: ignore[misc,name-defined]
        """The scheduler with its generator's uniforms replaced."""

        call = 0

        def _sample_from_logits(self, logits: Tensor, **settings: object) -> tuple[Tensor, Tensor]:
            uniform = draws.grid(self.call, Purpose.TOKEN, 5).flatten()
            probs = logits.softmax(-1)
            tokens = draw_categorical(probs.flatten(0, 1), uniform).view(100, 5)
            return tokens, probs.gather(-1, tokens[..., None])[..., 0]

    scheduler = SameUniforms(block_length=5, threshold=1.0)
    scheduler.set_timesteps(3)
    state, theirs = start(backbone, draws), torch.full((100, 5), 3)
    for step in steps_of(StepTable(counts=(5, 3, 1, 0)), 5):
        scheduler.call = step.index
        logits = backbone.features(theirs, torch.full((100,), step.t, dtype=torch.float64))
        theirs = scheduler.step(logits, step.index, theirs, mask_token_id=3, temperature=1.0).prev_sample
        state = SAMPLERS["confidence_drawn"].step(backbone, state, step, draws)
        assert torch.equal(state.x, theirs)
    assert int(theirs.max()) < 3
