"""A selection of drawn tokens: its probability is that of all draws which lead to it, and r(S) sums to 1."""

from itertools import combinations

import pytest
import torch

from lsd_core.paths.selection import BINS, classes_of, log_selection, log_set
from lsd_core.samplers.confidence_drawn import ConfidenceDrawn
from lsd_core.samplers.masked import MaskedPrediction
from lsd_core.samplers.state import Draws, start
from lsd_core.samplers.step import Step
from tests.lsd_core.oracles import TableBackbone, all_states, misfit_backbone

LENGTH, TOKENS = 4, 3


def tied_backbone() -> TableBackbone:
    """Two positions alike, whose draws tie, and one that is certain."""
    table = misfit_backbone(7, TOKENS, LENGTH).table.clone()
    table[:, 1] = table[:, 0]
    table[:, 2] = torch.tensor([0.0, -60.0, -60.0])
    return TableBackbone(table, TOKENS)


def selections(backbone: TableBackbone, x: torch.Tensor, size: int, gain: float):
    """Probability of each (set, tokens) by going through all draws of the masked positions."""
    step = Step(0, 1.0, 0.5, gain, "log_score", counts=(LENGTH, LENGTH - size))
    seen = MaskedPrediction.of(backbone, x, backbone.features(x, torch.ones(1)), step)
    masked = seen.rows[1].tolist()
    log_q = seen.tokens(torch.arange(len(masked)))
    found: dict[tuple[tuple[int, ...], tuple[int, ...]], float] = {}
    for tokens in all_states(TOKENS, len(masked)):
        log_p = log_q[torch.arange(len(masked)), tokens]
        order = sorted(range(len(masked)), key=lambda i: (-float(log_p[i]), i))[:size]
        chosen = sorted(order)
        key = tuple(masked[i] for i in chosen), tuple(int(tokens[i]) for i in chosen)
        found[key] = found.get(key, 0.0) + float(log_p.sum().exp())
    return seen, log_q, masked, found


@pytest.mark.parametrize("backbone", [misfit_backbone(3, TOKENS, LENGTH), tied_backbone()], ids=["", "tied"])
@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("gain", [1.0, 1.7])
def test_its_probability_is_that_of_all_draws_that_lead_to_it(backbone, size: int, gain: float) -> None:
    x = torch.tensor([[TOKENS, TOKENS, TOKENS, TOKENS]])
    seen, log_q, masked, found = selections(backbone, x, size, gain)
    assert sum(found.values()) == pytest.approx(1)
    histogram = torch.zeros(len(masked), BINS, dtype=torch.float64).scatter_add(
        1, classes_of(log_q), log_q.exp()
    )
    for (chosen, tokens), chance in found.items():
        kept = torch.zeros_like(x, dtype=torch.bool)
        kept[0, list(chosen)] = True
        drawn = x.clone()
        drawn[0, list(chosen)] = torch.tensor(tokens)
        own = sum(float(log_q[masked.index(i), t]) for i, t in zip(chosen, tokens, strict=True))
        of_set = float(log_set(histogram[None], kept[:, masked]))
        assert float(log_selection(seen, kept, drawn)) + own + of_set == pytest.approx(
            float(torch.tensor(chance, dtype=torch.float64).log()), abs=1e-9
        )


@pytest.mark.parametrize("size", [1, 2, 4])
def test_the_distribution_of_sets_sums_to_one_and_is_near_the_marginal(size: int) -> None:
    gen = torch.Generator().manual_seed(1)
    log_q = torch.randn(5, 40, generator=gen, dtype=torch.float64).mul(2).log_softmax(-1)
    histogram = torch.zeros(5, BINS, dtype=torch.float64).scatter_add(1, classes_of(log_q), log_q.exp())
    chance = {}
    for chosen in combinations(range(5), size):
        kept = torch.zeros(1, 5, dtype=torch.bool)
        kept[0, list(chosen)] = True
        chance[chosen] = float(log_set(histogram[None], kept).exp())
    assert sum(chance.values()) == pytest.approx(1, abs=1e-9)
    drawn = torch.multinomial(log_q.exp(), 20_000, replacement=True, generator=gen)
    top = log_q.gather(1, drawn).T.argsort(dim=1, descending=True)[:, :size].sort(dim=1).values
    for chosen, wanted in chance.items():
        share = float((top == torch.tensor(chosen)).all(1).double().mean())
        assert abs(share - wanted) < 0.02


def test_draws_of_the_sampler_follow_it() -> None:
    backbone = misfit_backbone(3, TOKENS, LENGTH)
    draws = Draws(3, torch.arange(20_000))
    step = Step(0, 1.0, 0.5, 1.0, "log_score", counts=(LENGTH, LENGTH - 2))
    after = ConfidenceDrawn().step(backbone, start(backbone, draws), step, draws).x
    x = torch.full((1, LENGTH), TOKENS)
    *_, found = selections(backbone, x, 2, 1.0)
    for (chosen, tokens), chance in found.items():
        wanted = torch.full((LENGTH,), TOKENS)
        wanted[list(chosen)] = torch.tensor(tokens)
        share = float((after == wanted).all(1).double().mean())
        assert abs(share - chance) < 4 * (chance / 20_000) ** 0.5 + 1e-3
