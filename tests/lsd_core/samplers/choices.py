"""Choice of positions one after another without replacement, written from its definition."""

from itertools import combinations, permutations

from torch import Tensor


def chances_of_sets(weights: Tensor, size: int) -> dict[tuple[int, ...], float]:
    """Chance of every set of so many positions, each drawn in proportion to the weights (l,) of those left."""
    values = weights.tolist()
    possible = [i for i, weight in enumerate(values) if weight > 0]
    found = {}
    for chosen in combinations(possible, size):
        chance = 0.0
        for order in permutations(chosen):
            left, product = sum(values), 1.0
            for i in order:
                product, left = product * values[i] / left, left - values[i]
            chance += product
        found[chosen] = chance
    return found
