"""Halton order: unmask positions that lie far apart together."""

from dataclasses import dataclass
from typing import ClassVar

from lsd_core.samplers.fixed_counts import FixedCounts
from lsd_core.samplers.orders import HALTON, Order


@dataclass(frozen=True)
class Halton(FixedCounts):
    """From n masked tokens to m, unmask the next n - m positions of a shifted Halton sequence.

    After the Halton scheduler of Besnier et al. (ICLR 2025, arXiv 2503.17076), on a line: base 2, and a random
    digital shift for each trajectory (`orders.halton`). A step's whole error is that it draws tokens
    independently which depend on each other; near ones do most, and a random subset nearly always holds some.
    A comb between unmasked neighbours holds none: where tokens depend on each other through what lies between,
    as on a Markov chain, a step that doubles a comb is exact. For exchangeable tokens nothing is gained and
    something lost: a mixture over few combs instead of all subsets has up to twice the error in total variation
    (2.0 as enumerated, an exchangeable chain of 8).

    With more steps it tends to the network along these orders: the output of the exact sampler where the
    network is consistent, and otherwise as far from it as the network contradicts itself.

    Cost: 1 network call. Order 1 in total variation in the largest share unmasked at once (0.95 as enumerated on
    that chain).
    """

    name: ClassVar[str] = "halton"
    order: ClassVar[Order] = HALTON
