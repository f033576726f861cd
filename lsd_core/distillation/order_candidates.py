"""Candidate orders from the dependence between positions, and what their steps should cost.

A step that unmasks the set S given what is unmasked costs, to second order, the dependence within S summed over its
pairs. So positions that depend on each other least come together, the largest set last: a maximal cut of the graph of
dependence, from the end. Greedy and random starts fail (they leave neighbours for the last set, or regions of opposite
phase), so each cut starts from combs along a line and from an eigenvector, and is then lowered by swaps. The line is
that of the sequence, or the one that the Fiedler vector of the graph gives (seriation: Atkins et al. 1998).
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.paths.dependence import Dependence
from lsd_core.samplers.orders.fixed import BISECTION, DILATED
from lsd_core.samplers.orders.halton import halton_positions
from lsd_core.samplers.orders.halton_2d import cell_ranks

Positions = tuple[int, ...]
UNLEARNED = "halton/0"
"""The order that needs no dependence: what a learned one must beat."""
SHIFTS = 4


def candidate_orders(dependence: Dependence) -> dict[str, dict[str, Positions]]:
    """Orders of the positions by family and name: by place, by place on the spectral line, and by cuts."""
    length = dependence.length
    line = spectral_line(dependence.near(length // 2))
    placed = _by_place(length)
    spectral = {name: tuple(line[i] for i in order) for name, order in placed.items()}
    cuts = {"cuts": cut_order(dependence, range(length)), "spectral cuts": cut_order(dependence, line)}
    swapped = {
        f"{name}, swapped": swap_sets(dependence, order)
        for name, order in (
            (UNLEARNED, placed[UNLEARNED]),
            (f"spectral {UNLEARNED}", spectral[UNLEARNED]),
            *cuts.items(),
        )
    }
    return {
        "place": placed,
        "spectral": {f"spectral {name}": order for name, order in spectral.items()},
        "cuts": cuts | swapped,
    }


def _by_place(length: int) -> dict[str, Positions]:
    """Orders that know the places of the positions alone."""
    bits = max(1, (length - 1).bit_length())
    shifts = range(0, 2**bits, max(1, 2**bits // SHIFTS))
    orders = {f"halton/{shift}": halton_positions(length, shift) for shift in shifts}
    orders |= {order.name: tuple(order.positions(length)) for order in (BISECTION, DILATED)}
    side = math.isqrt(length)
    if side * side == length and side > 1:
        orders["halton_2d"] = tuple(torch.tensor(cell_ranks(side)).argsort().tolist())
    return orders


def spectral_line(weights: Float[Tensor, "l l"]) -> list[int]:
    """The positions sorted by the Fiedler vector: the eigenvector of the Laplacian's second smallest eigenvalue."""
    laplacian = torch.diag(weights.sum(1)) - weights
    vectors = torch.linalg.eigh(laplacian).eigenvectors
    return vectors[:, min(1, len(weights) - 1)].argsort(stable=True).tolist()


def cut_order(dependence: Dependence, line: Sequence[int]) -> Positions:
    """Halve the positions, those that come later depending on each other least; then each half, down to single ones."""

    def split(positions: list[int], unmasked: int) -> list[int]:
        if len(positions) == 1:
            return positions
        size = (len(positions) + 1) // 2
        at = torch.tensor(positions)
        later = _cut(dependence.near(unmasked + size)[at][:, at], size)
        first = [i for i, last in zip(positions, later, strict=True) if not last]
        rest = [i for i, last in zip(positions, later, strict=True) if last]
        return split(first, unmasked) + split(rest, unmasked + size)

    return tuple(split(list(line), 0))


def _cut(weights: Float[Tensor, "s s"], size: int) -> list[bool]:
    """Which positions come later, `size` of them first: the best of a comb and an eigenvector, lowered by swaps."""
    comb = torch.arange(len(weights)) % 2
    vector = torch.linalg.eigh(weights).eigenvectors[:, 0]
    halves = (vector.argsort(stable=True).argsort() >= size).long()
    both = weights.expand(2, -1, -1)
    found = [lower_by_swaps(start, both) for start in (comb, halves)]
    return min(found, key=lambda label: within(label, both)).bool().tolist()


def swap_sets(dependence: Dependence, order: Positions) -> Positions:
    """The order with positions swapped between sets of l/2, l/4, ... from the end, while that lowers their cost."""
    begins = [len(order) // 2]
    while begins[0] > 0:
        begins.insert(0, begins[0] // 2)
    weights = torch.stack([dependence.near(begin) for begin in begins])
    rank = torch.tensor(order).argsort()
    label = torch.searchsorted(torch.tensor(begins), rank, right=True) - 1
    label = lower_by_swaps(label, weights)
    return tuple((label * len(order) + rank).argsort().tolist())


def within(label: Int[Tensor, " l"], weights: Float[Tensor, "k l l"]) -> float:
    """Dependence within the sets, set k by weights[k], summed over its pairs."""
    return sum(float(weights[k][label == k][:, label == k].sum()) / 2 for k in range(len(weights)))


def lower_by_swaps(label: Int[Tensor, " l"], weights: Float[Tensor, "k l l"]) -> Int[Tensor, " l"]:
    """Swap two positions of different sets while that lowers `within`, the best swap first, at most l of them."""
    label, every = label.clone(), torch.arange(len(label))
    for _ in range(len(label)):
        member = torch.nn.functional.one_hot(label, len(weights)).to(weights)
        to = torch.einsum("kij,jk->ik", weights, member)  # of i with all of set k
        own, mine = to[every, label], weights[label, every]
        change = to[:, label] - own[:, None] - mine
        change = (change + change.T).masked_fill(label[:, None] == label, 0.0)
        best = int(change.argmin())
        if float(change.flatten()[best]) >= -1e-12:
            break
        i, j = divmod(best, len(label))
        label[i], label[j] = int(label[j]), int(label[i])
    return label


def expected_costs(dependence: Dependence, order: Positions) -> Float[Tensor, "n n"]:
    """Costs [a, b] of the steps that unmask positions a .. b - 1 of the order at once, by their pairs."""
    length, at = len(order), torch.tensor(order)
    costs = torch.zeros(length + 1, length + 1, dtype=torch.float64)
    groups: dict[int, Tensor] = {}
    for begin in range(length):
        group = begin.bit_length()
        if group not in groups:
            pairs = dependence.near(begin)[at][:, at].triu(1)
            groups[group] = pairs.flip(0).cumsum(0).flip(0)  # [a, j]: j with those before it, from a on
        costs[begin, begin + 1 :] = groups[group][begin, begin:].cumsum(0)
    return costs


def best_of(
    families: dict[str, dict[str, Positions]], score: Callable[[Positions], list[float]]
) -> dict[str, Positions]:
    """The unlearned order and the best of each family, by the mean of the ranks of all scores; no order twice."""
    named = {name: order for family in families.values() for name, order in family.items()}
    scores = torch.tensor([score(order) for order in named.values()], dtype=torch.float64)
    ranks = (scores[:, None] > scores[None] + 1e-12).sum(1).double().mean(1)
    place = dict(zip(named, ranks.tolist(), strict=True))
    chosen = {UNLEARNED: named[UNLEARNED]}
    for family in families.values():
        best = min(family, key=lambda name: place[name])
        if family[best] not in chosen.values():
            chosen[best] = family[best]
    return chosen
