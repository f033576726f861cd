"""Joint distributions over all sequences as perfect backbones, and the exact divergence of a sampler from them."""

import math
from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from lsd_core.processes import Absorbing
from lsd_core.samplers.catalog import get_sampler
from lsd_core.samplers.masked import MaskedKernel, MaskedPrediction
from lsd_core.samplers.state import Draws
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.table import StepTable
from tests.lsd_core.oracles import all_states, halton_ranks

ROWS = 512  # states whose weights over all sequences are held at once


class JointBackbone:
    """Exact conditionals of a joint distribution over V^l sequences, by summing over those that agree with a state."""

    name, family, fingerprint = "joint", "table", "joint"
    time_free = normalised = True

    def __init__(self, joint: Tensor, num_tokens: int, length: int) -> None:
        self.joint, self.length, self.process = joint, length, Absorbing(num_tokens)
        self.tokens = all_states(num_tokens, length)
        self.one_hot = torch.nn.functional.one_hot(self.tokens, num_tokens).double()
        self.config: dict[str, object] = {}
        self.sequences = 0

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        self.sequences += len(x)
        parts = []
        for some in x.split(ROWS):
            agree = torch.ones(len(some), len(self.joint), dtype=torch.bool)
            for i in range(self.length):
                agree &= (some[:, i, None] == self.tokens[:, i]) | (some[:, i, None] == self.process.mask)
            mass = (agree * self.joint) @ self.one_hot.flatten(1)
            parts.append(mass.view(len(some), self.length, -1).clamp(min=1e-300).log().log_softmax(-1))
        return torch.cat(parts)

    def head(self, rows: Tensor) -> Tensor:
        return rows

    def tensors(self) -> dict[str, Tensor]:
        return {"joint": self.joint}


def mixture(seed: int, num_tokens: int, length: int, classes: int, sharp: Sequence[float]) -> JointBackbone:
    """Positions that are independent given a class, as sharp as `sharp` says: their dependence is global."""
    gen = torch.Generator().manual_seed(seed)
    noise = torch.randn(classes, length, num_tokens, generator=gen).double()
    log_p = (torch.tensor(sharp).double()[None, :, None] * noise).log_softmax(-1)
    tokens = all_states(num_tokens, length)
    given = torch.stack([log_p[:, i, tokens[:, i]] for i in range(length)]).sum(0)
    return JointBackbone(given.exp().mean(0), num_tokens, length)


def permuted_chain(seed: int, num_tokens: int, length: int, stay: float) -> JointBackbone:
    """A Markov chain that keeps its value with a chance, its positions in a random order."""
    order = torch.randperm(length, generator=torch.Generator().manual_seed(seed))
    along = all_states(num_tokens, length)[:, order]
    step = torch.where(along[:, 1:] == along[:, :-1], stay, (1 - stay) / (num_tokens - 1)).double()
    return JointBackbone(step.prod(1) / num_tokens, num_tokens, length)


def log_law(backbone: JointBackbone, sampler: str, table: StepTable) -> Tensor:
    """log q of every sequence, for samplers whose positions follow from the state or from one of few orders."""
    method = get_sampler(sampler, backbone.process)
    assert table.counts is not None
    if sampler == "halton":
        taken = [table.counts[0] - m for m in table.counts[1:]]
        sets = [[rank < size for size in taken] for rank in halton_ranks(backbone.length)]
    else:
        sets = _subsets(table) if sampler == "fixed_counts" else []
    paths = [_along(backbone, table, each) for each in sets] or [_along(backbone, table, None, method)]
    return torch.stack(paths).logsumexp(0) - math.log(len(paths))


def divergence(backbone: JointBackbone, sampler: str, table: StepTable) -> float:
    """KL(sampler || joint) in nats, exact."""
    log_q = log_law(backbone, sampler, table)
    assert abs(float(log_q.exp().sum()) - 1) < 1e-9
    return float((log_q.exp() * (log_q - backbone.joint.log())).sum())


def _along(backbone: JointBackbone, table: StepTable, sets: list[Tensor] | None, method=None) -> Tensor:
    """log q of every sequence where each step leaves these positions unmasked, or those that a rule chooses."""
    tokens = backbone.tokens
    x, log_q = torch.full_like(tokens, backbone.process.mask), torch.zeros(len(tokens)).double()
    for step in steps_of(table, backbone.length):
        features = backbone.features(x, torch.ones(len(x)))
        seen = MaskedPrediction.of(backbone, x, features, step)
        rows = seen.rows
        if sets is not None:
            chosen = sets[step.index].expand_as(x)[rows]
        else:
            kernel = method.kernel(seen, step)
            assert isinstance(kernel, MaskedKernel)
            chosen = kernel.choose(Draws(0, torch.arange(len(x))), step.index)
        which = chosen.nonzero()[:, 0]
        where = (rows[0][which], rows[1][which])
        log_p = seen.tokens(which).gather(1, tokens[where][:, None])[:, 0]
        log_q.index_add_(0, where[0], log_p)
        x = x.index_put(where, tokens[where])
    return log_q


def _subsets(table: StepTable) -> list[list[Tensor]]:
    """The positions unmasked by the end of each step, all ways alike."""
    length = table.counts[0]
    ways = [[torch.zeros(length, dtype=torch.bool)]]
    for n, m in zip(table.counts, table.counts[1:], strict=False):
        grown = []
        for sets in ways:
            free = (~sets[-1]).nonzero()[:, 0].tolist()
            for chosen in combinations(free, n - m):
                more = sets[-1].clone()
                more[list(chosen)] = True
                grown.append([*sets, more])
        ways = grown
    return [sets[1:] for sets in ways]
