"""Chains small enough to enumerate: the law of every state, pushed exactly through a sampler's steps.

A state of l positions over V tokens and MASK is numbered by its digits in base V + 1, first position first; a
law over states is a vector of (V + 1)^l probabilities. Backbones are tables from states to x0 laws.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import special, stats
from torch import Tensor

from lsd_core.backbones.countdown_chain import NUM_VALUES, transition_matrix
from lsd_core.backbones.protocol import Backbone, log_score
from lsd_core.backbones.scores import scores_at_times
from lsd_core.processes import Absorbing, LogLinear, Noise, Process
from lsd_core.samplers.masked import MaskedKernel, MaskedPrediction
from lsd_core.samplers.orders.halton import shifted_points
from lsd_core.samplers.step import Step, steps_of
from lsd_core.samplers.table import StepTable
from lsd_core.samplers.two_calls import cut

SWITCH = 0.5  # a time-dependent table changes from its early to its late half here


def all_states(num_states: int, length: int) -> Tensor:
    """Every sequence (num_states^length, length), in the order of its number."""
    digits = torch.arange(num_states**length)[:, None] // num_states ** torch.arange(length).flip(0)
    return digits % num_states


def number_of(x: Tensor, num_states: int) -> Tensor:
    """Numbers (b,) of the states x (b, l)."""
    return (x * num_states ** torch.arange(x.shape[1]).flip(0)).sum(-1)


class TableBackbone:
    """A backbone that looks its log-weights up: table (N, l, V), and another one below t = 0.5 if given."""

    name, family = "table", "table"

    def __init__(
        self,
        table: Tensor,
        num_tokens: int,
        *,
        late: Tensor | None = None,
        normalised: bool = True,
        noise: Noise | None = None,
    ) -> None:
        self.table, self.late = table, late
        self.process = Absorbing(num_tokens, noise or LogLinear())
        self.length = table.shape[1]
        self.time_free, self.normalised = late is None, normalised
        self.config: dict[str, Any] = {}
        self.fingerprint = "table"
        self.sequences = 0  # sequences sent through the network

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        self.sequences += len(x)
        number = number_of(x, self.process.num_states)
        early = self.table[number]
        return (
            early if self.late is None else torch.where(t[:, None, None] >= SWITCH, early, self.late[number])
        )

    def head(self, rows: Tensor) -> Tensor:
        assert rows.shape[-1] == self.process.num_tokens, "these features never came from the network"
        return rows

    def tensors(self) -> dict[str, Tensor]:
        return {"table": self.table}


def conditionals(joint: Tensor) -> Tensor:
    """Exact log x0 laws (N, l, V) of a joint law over V^l sequences, shaped (V,) * l."""
    num_tokens, length = joint.shape[0], joint.dim()
    tokens = all_states(num_tokens, length)
    states = all_states(num_tokens + 1, length)
    table = torch.zeros(len(states), length, num_tokens, dtype=torch.float64)
    for number, state in enumerate(states):
        agree = ((tokens == state) | (state == num_tokens)).all(-1)
        for position in range(length):
            weight = joint.flatten() * agree
            table[number, position].index_add_(0, tokens[:, position], weight)
    return (table / table.sum(-1, keepdim=True)).log()


def joint_law(seed: int, num_tokens: int, length: int, scale: float) -> Tensor:
    """A random joint law (V,) * l; the larger the scale, the stronger the correlations."""
    logits = scale * torch.randn(num_tokens**length, generator=torch.Generator().manual_seed(seed)).double()
    return logits.softmax(0).view((num_tokens,) * length)


def exact_backbone(joint: Tensor, noise: Noise | None = None) -> TableBackbone:
    """The perfect backbone of that law."""
    return TableBackbone(conditionals(joint), joint.shape[0], noise=noise)


def misfit_backbone(
    seed: int,
    num_tokens: int,
    length: int,
    *,
    timed: bool = False,
    normalised: bool = True,
    noise: Noise | None = None,
) -> TableBackbone:
    """Random tables that no joint law has; optionally time-dependent, optionally with unequal row sums."""
    gen = torch.Generator().manual_seed(seed)
    shape = (2, (num_tokens + 1) ** length, length, num_tokens)
    tables = torch.randn(shape, generator=gen, dtype=torch.float64)
    if normalised:
        tables = tables.log_softmax(-1)
    else:
        tables = tables.log_softmax(-1) + 0.4 * torch.randn(
            (*shape[:3], 1), generator=gen, dtype=torch.float64
        )
    late = tables[1] if timed else None
    return TableBackbone(tables[0], num_tokens, late=late, normalised=normalised, noise=noise)


def product_law(tokens: Tensor) -> Tensor:
    """Joint law (b, S^l) of independent positions with laws (b, l, S)."""
    joint = tokens[:, 0]
    for position in range(1, tokens.shape[1]):
        joint = (joint[:, :, None] * tokens[:, None, position]).flatten(1)
    return joint


def transition(law: MaskedKernel) -> Tensor:
    """Exact law (b, N) of the whole state after the step that `law` describes."""
    if law.chance is not None:
        return product_law(law.probs)
    assert law.quota is not None
    num_states = law.num_tokens + 1
    token_law = torch.zeros(*law.x.shape, num_states, dtype=torch.float64)
    token_law[..., :-1][law.rows] = law.tokens(torch.arange(len(law.rows[0]))).exp()
    kept = torch.nn.functional.one_hot(law.x, num_states).double()
    out = torch.zeros(len(law.x), num_states ** law.x.shape[1], dtype=torch.float64)
    masked = law.x == law.num_tokens
    quota = torch.minimum(law.quota, masked.sum(1))
    for subset in all_states(2, law.x.shape[1]).bool():
        alike = (~subset | masked).all(1) & (subset.sum() == quota)
        if not bool(alike.any()):
            continue
        share = 1 / torch.from_numpy(special.comb(masked.sum(1).numpy(), quota.numpy()))
        tokens = torch.where(subset[:, None], token_law, kept)
        out[alike] += share[alike, None] * product_law(tokens[alike])
    return out


def features_at(backbone: Backbone, x: Tensor, t: float) -> Tensor:
    return backbone.features(x, torch.full((len(x),), t, dtype=torch.float64))


def seen_at(backbone: Backbone, x: Tensor, step: Step, t: float | None = None) -> MaskedPrediction:
    """The prediction at (x, t), by default at the step's start, under the step's gain."""
    return MaskedPrediction.of(backbone, x, features_at(backbone, x, step.t if t is None else t), step)


StepMatrix = Callable[
    [Any, Backbone, Tensor, Step], Tensor
]  # sampler, backbone, states (b, l), step -> (b, N)


def one_call(sampler: Any, backbone: Backbone, x: Tensor, step: Step) -> Tensor:
    """Transition (b, N) of a sampler with one law a step."""
    return transition(sampler.kernel(seen_at(backbone, x, step), step))


def push(sampler: Any, backbone: Backbone, table: StepTable, step_matrix: StepMatrix = one_call) -> Tensor:
    """Exact output law over all states of a sampler that starts from all MASK."""
    num_states, length = backbone.process.num_states, backbone.length
    states = all_states(num_states, length)
    law = torch.zeros(len(states), dtype=torch.float64)
    law[-1] = 1.0
    for step in steps_of(table, length):
        reached = law > 0
        law = law[reached] @ step_matrix(sampler, backbone, states[reached], step)
    return law


def one_reveal(backbone: TableBackbone, t: float) -> Tensor:
    """Matrix (N, N): one masked position, each as likely, gets its token; finished states stay."""
    states = all_states(backbone.process.num_states, backbone.length)
    probs = features_at(backbone, states, t).double().log_softmax(-1).exp()
    matrix = torch.zeros(len(states), len(states), dtype=torch.float64)
    for number, state in enumerate(states):
        masked = (state == backbone.process.mask).nonzero()[:, 0]
        if len(masked) == 0:
            matrix[number, number] = 1.0
        for position in masked:
            for token in range(backbone.process.num_tokens):
                after = state.clone()
                after[position] = token
                index = number_of(after[None], backbone.process.num_states)[0]
                matrix[number, index] += probs[number, position, token] / len(masked)
    return matrix


def exact_law(backbone: TableBackbone) -> Tensor:
    """Output law of the exact reverse chain on log-linear noise: all orders of reveals, both tables."""
    num_states, length = backbone.process.num_states, backbone.length
    masked = (all_states(num_states, length) == backbone.process.mask).sum(-1)
    law = torch.zeros(num_states**length, dtype=torch.float64)
    law[-1] = 1.0
    for t, s in ((1.0, SWITCH), (SWITCH, 0.0)):
        matrix, chance, after = one_reveal(backbone, (t + s) / 2), (t - s) / t, torch.zeros_like(law)
        for count in range(length + 1):
            weight = torch.from_numpy(stats.binom.pmf(count, masked.numpy(), chance))
            after += (law * weight) @ torch.linalg.matrix_power(matrix, count)
        law = after
    return law


def tv(p: Tensor, q: Tensor) -> float:
    """Total variation between two laws."""
    return float((p - q).abs().sum() / 2)


def fitted_order(steps: Sequence[int], errors: Sequence[float]) -> float:
    """Slope of -log error over log steps."""
    return float(-np.polyfit(np.log(steps), np.log(errors), 1)[0])


def chi_square(samples: Tensor, law: Tensor, num_states: int) -> float:
    """p-value of samples (n, l) under a law over states; none may be impossible, rare ones are pooled."""
    counts = torch.bincount(number_of(samples, num_states), minlength=len(law)).double()
    assert float(counts[law <= 1e-15].sum()) == 0, "a state of probability 0 was drawn"
    expected = law * counts.sum()
    rare = (expected < 5) & (law > 1e-15)
    observed = torch.cat([counts[expected >= 5], counts[rare].sum()[None]])
    expected = torch.cat([expected[expected >= 5], expected[rare].sum()[None]])
    keep = expected > 0
    observed, expected = observed[keep], expected[keep]
    return float(
        stats.chisquare(observed.numpy(), (expected * observed.sum() / expected.sum()).numpy()).pvalue
    )


def two_calls(sampler: Any, backbone: Backbone, x: Tensor, step: Step) -> Tensor:
    """Transition (b, N) of a sampler with a `first` and a `second` law, summed over every middle state."""
    early, late = cut(step, sampler.theta, backbone.length)
    seen = seen_at(backbone, x, step, early.t)
    to_middle = transition(sampler.first(seen, step))
    start, middle = (to_middle > 0).nonzero(as_tuple=True)
    x_mid = all_states(backbone.process.num_states, backbone.length)[middle]
    seen_start = MaskedPrediction.of(backbone, x[start], seen.features[start], step)
    after = transition(sampler.second(seen_start, seen_at(backbone, x_mid, step, late.t), step))
    return torch.zeros_like(to_middle).index_add_(0, start, to_middle[start, middle, None] * after)


def balanced(sampler: Any, backbone: Backbone, x: Tensor, step: Step) -> Tensor:
    """Transition (b, N) of a balanced split, summed over how many tokens it reveals."""
    states = all_states(backbone.process.num_states, backbone.length)
    masked = (x == backbone.process.mask).sum(-1)
    every_time = sampler.middle(step, backbone.length)
    late = transition_by_size(sampler, backbone, states, every_time, step)
    early = transition_by_size(sampler, backbone, x, step.t, step)
    out = torch.zeros(len(x), len(states), dtype=torch.float64)
    for size in range(backbone.length + 1):
        if step.counts is None:
            chance = sampler_chance(backbone, step)
            weight = torch.from_numpy(stats.binom.pmf(size, masked.numpy(), chance))
        else:
            weight = (masked.clamp(max=step.counts[0] - step.counts[1]) == size).double()
        out += weight[:, None] * (early(size // 2) @ late(size - size // 2))
    return out


def transition_by_size(
    sampler: Any, backbone: Backbone, x: Tensor, t: float, step: Step
) -> Callable[[int], Tensor]:
    """Transition (b, N) of half a split as a function of its number of reveals."""
    seen = seen_at(backbone, x, step, t)

    @cache
    def of_size(size: int) -> Tensor:
        return transition(sampler.half(seen, torch.full((len(x),), size)))

    return of_size


def sampler_chance(backbone: Backbone, step: Step) -> float:
    """Exact chance of a reveal on log-linear noise, a score gain included."""
    if step.last:
        return 1.0
    gain = step.gain if step.gain_on == "score" else 1.0
    return min(1.0, gain * (step.t - step.s) / step.t)


def corrected(sampler: Any, backbone: Backbone, x: Tensor, step: Step) -> Tensor:
    """Transition (b, N) of a predictor followed by its corrector."""
    predicted = transition(sampler.first(seen_at(backbone, x, step), step))
    if step.last:
        return predicted
    states = all_states(backbone.process.num_states, backbone.length)
    seen = seen_at(backbone, states, step, step.s)
    return predicted @ product_law(sampler.second(seen, seen, step).probs)


STEP_MATRIX: dict[str, StepMatrix] = {
    "theta_trapezoidal": two_calls,
    "theta_rk2": two_calls,
    "balanced_split": balanced,
    "tau_leaping_corrected": corrected,
}


def halton_ranks(length: int) -> Tensor:
    """Ranks (s, length) of all Halton orders, one a shift and each as likely."""
    bits = max(1, (length - 1).bit_length())
    shifts = torch.arange(2**bits)[:, None]
    return shifted_points(bits, shifts, length).argsort(dim=1).argsort(dim=1)


def push_in_order(sampler: Any, backbone: Backbone, table: StepTable, rank: Tensor) -> Tensor:
    """Exact output law of a sampler on counts whose positions come in this order (length,)."""
    num_states, length = backbone.process.num_states, backbone.length
    states = all_states(num_states, length)
    law = torch.zeros(len(states), dtype=torch.float64)
    law[-1] = 1.0
    for step in steps_of(table, length):
        assert step.counts is not None
        n, m = step.counts
        reached = law > 0
        x = states[reached]
        of_step = sampler.kernel(seen_at(backbone, x, step), step)
        after = torch.nn.functional.one_hot(x, num_states).double()
        revealed = ((rank >= length - n) & (rank < length - m))[of_step.rows[1]].nonzero()[:, 0]
        tokens = torch.nn.functional.pad(of_step.tokens(revealed).exp(), (0, 1))
        after[of_step.rows[0][revealed], of_step.rows[1][revealed]] = tokens
        law = law[reached] @ product_law(after)
    return law


def push_named(sampler: Any, backbone: Backbone, table: StepTable) -> Tensor:
    """Exact output law of any sampler of the catalogue."""
    if table.order is not None:
        return push_in_order(sampler, backbone, table, torch.tensor(table.order).argsort())
    if sampler.name == "halton":
        ranks = halton_ranks(backbone.length)
        return torch.stack([push_in_order(sampler, backbone, table, rank) for rank in ranks]).mean(0)
    return push(sampler, backbone, table, STEP_MATRIX.get(sampler.name, one_call))


@dataclass(frozen=True)
class X0Scores:
    """A distribution of the clean token alone, as a backbone."""

    process: Process
    length: int
    x0_probs: Callable[[Tensor, Tensor], Tensor]
    """Tokens (b, l), times (b,) -> p(x0_i = z | x_t), (b, l, s)."""

    def score(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l s"]:
        """One network call; see `scores_at_times`."""
        return scores_at_times(self.process, x, self.x0_probs(x, t), t)


@dataclass(frozen=True)
class AbsorbingScores:
    """An absorbing backbone seen as one of any process, for oracles and exact simulation."""

    backbone: Backbone

    @property
    def process(self) -> Process:
        return self.backbone.process

    @property
    def length(self) -> int:
        return self.backbone.length

    def score(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l s"]:
        """One network call, as its rows are: unnormalised ones are left so."""
        return log_score(self.backbone, x, t).exp()


def entropy_of_data(length: int, num_values: int = NUM_VALUES) -> float:
    """Entropy of one sequence in nats: log V at the start and after each zero."""
    law = torch.full((num_values,), 1.0 / num_values, dtype=torch.float64)
    matrix, zeros = transition_matrix(num_values), 0.0
    for _ in range(length - 1):
        zeros += float(law[0])
        law = law @ matrix
    return (1 + zeros) * float(torch.log(torch.tensor(float(num_values))))
