"""Orders in which positions are unmasked, decided before any token is drawn."""

from lsd_core.samplers.orders.fixed import BISECTION, DILATED, LEFT_TO_RIGHT, Blocks, Permutation
from lsd_core.samplers.orders.halton import HALTON
from lsd_core.samplers.orders.halton_2d import HALTON_2D
from lsd_core.samplers.orders.protocol import Order
from lsd_core.samplers.orders.uniform import UNIFORM

__all__ = [
    "BISECTION",
    "DILATED",
    "HALTON",
    "HALTON_2D",
    "LEFT_TO_RIGHT",
    "UNIFORM",
    "Blocks",
    "Order",
    "Permutation",
]
