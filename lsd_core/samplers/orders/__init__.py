"""Orders of the positions: one file an order."""

from lsd_core.samplers.orders.halton import HALTON
from lsd_core.samplers.orders.protocol import Order
from lsd_core.samplers.orders.uniform import UNIFORM

ORDERS: dict[str, Order] = {order.name: order for order in (UNIFORM, HALTON)}

__all__ = ["HALTON", "ORDERS", "UNIFORM", "Order"]
