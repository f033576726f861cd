"""The countdown chain (Park et al. 2024, "Jump Your Steps", Sec. 5.1): its data, and exact backbones for it.

A nonzero token is followed by itself minus one; after a zero, as at the start, anything goes. The data are
a Markov chain, so their distribution and their conditionals are known.
"""

import torch
from torch import Tensor

from lsd_core.backbones.hidden_markov import HiddenMarkov
from lsd_core.backbones.markov import MarkovExact
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.processes import Absorbing, Exponential, Gaussian, Process

NUM_VALUES = 32
SMOOTHING = 1e-4
# Grey levels' process at 32 values: as wide, relative to the values, as tauLDR's is at 256, and mixed by t = 1.
ORDINAL = Gaussian(NUM_VALUES, Exponential(0.1, 1000.0), rate_sigma=3.0, prior_sigma=64.0)


def transition_matrix(num_values: int = NUM_VALUES) -> Tensor:
    """P (V, V), P[x, y] = p(next = y | x): x - 1 after a nonzero x, uniform after zero."""
    matrix = torch.zeros(num_values, num_values, dtype=torch.float64)
    matrix[torch.arange(1, num_values), torch.arange(num_values - 1)] = 1.0
    matrix[0] = 1.0 / num_values
    return matrix


def draw_sequences(seed: int, trajectory: Tensor, length: int, num_values: int = NUM_VALUES) -> Tensor:
    """Sequences (b, length), each a function of (seed, its trajectory index)."""
    starts = (uniform_grid(seed, trajectory, 0, length, Purpose.DATA) * num_values).long()
    columns = [starts[:, 0]]
    for position in range(1, length):
        last = columns[-1]
        columns.append(torch.where(last > 0, last - 1, starts[:, position]))
    return torch.stack(columns, dim=1)


def exact_backbone(name: str, length: int, num_values: int = NUM_VALUES) -> MarkovExact:
    """The perfect backbone: conditionals from matrix powers."""
    config = {
        "family": MarkovExact.family,
        "process": Absorbing(num_values).to_dict(),
        "length": length,
        "smoothing": SMOOTHING,
    }
    backbone = MarkovExact(name, config, _chain(num_values))
    backbone.task = "countdown" if num_values == NUM_VALUES else None
    return backbone


def scattered_backbone(name: str, length: int, num_values: int) -> MarkovExact:
    """The perfect backbone of countdowns whose positions are permuted at random, once and for all.

    Dependence is as in countdown, and no matter of distance: no order by place helps.
    """
    straight = exact_backbone(name, length, num_values)
    zero = torch.zeros(1, dtype=torch.long)
    positions = uniform_grid(0, zero, 0, length, Purpose.ORDER)[0].argsort().tolist()
    backbone = MarkovExact(name, straight.config | {"positions": positions}, straight.tensors())
    backbone.task = "countdown"
    return backbone


def exact_noisy_backbone(name: str, length: int, process: Process) -> HiddenMarkov:
    """The perfect backbone where tokens are corrupted to other tokens: posteriors of a hidden Markov model.

    Its chain takes a uniform step with chance 1e-4, so that no sequence is impossible and divergences are finite.
    """
    config = {"family": HiddenMarkov.family, "process": process.to_dict(), "length": length}
    chain = _chain(process.num_tokens)
    chain["transition"] = (1 - SMOOTHING) * chain["transition"] + SMOOTHING / process.num_tokens
    backbone = HiddenMarkov(name, config, chain)
    backbone.task = "countdown" if process.num_tokens == NUM_VALUES else None
    return backbone


def _chain(num_values: int) -> dict[str, Tensor]:
    initial = torch.full((num_values,), 1.0 / num_values, dtype=torch.float64)
    return {"initial": initial, "transition": transition_matrix(num_values)}
