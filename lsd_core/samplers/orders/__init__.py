"""Orders in which positions are unmasked, decided before any token is drawn: by name, ours and plugins'."""

from lsd_core.plugins import Registry, instance_of
from lsd_core.samplers.orders.halton import HALTON
from lsd_core.samplers.orders.learned import LEARNED
from lsd_core.samplers.orders.protocol import Order
from lsd_core.samplers.orders.uniform import UNIFORM

ORDERS: Registry[Order] = Registry("lsd.orders", instance_of(Order))  # type: ignore[type-abstract]

__all__ = ["HALTON", "LEARNED", "ORDERS", "UNIFORM", "Order"]
