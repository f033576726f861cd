"""Benchmark `precision`: calls of the shipped networks as they ship, in bfloat16 and in float32."""

import torch

from flows.bench.cases import forward, race
from flows.bench.figures import Figure, Setting
from flows.bench.timing import Spread
from lsd_core.backbones.catalog import BACKBONES, addresses_of, load_backbone
from lsd_core.backbones.ddit_backbone import DDiTBackbone
from lsd_core.backbones.device import place
from lsd_core.backbones.precision import product_cost
from lsd_core.backbones.storage import with_body_dtype

TITLE = "a call of a network as it ships, and in bfloat16, over one in float32"
UNIT = "call in float32"
MOST = 1.3


def ask(setting: Setting) -> list[Figure]:
    """Each transformer that ships, and as it was trained; the batch is at least 16."""
    figures = []
    setting = Setting(device=setting.device, rounds=setting.rounds, batch=max(16, setting.batch))
    for name in [name for name, entry in BACKBONES.items() if entry.earlier]:
        networks = {address: load_backbone(address) for address in addresses_of(name)}
        networks["float32"] = with_body_dtype(networks[name], "float32")
        thunks = {}
        for case, network in networks.items():
            assert isinstance(network, DDiTBackbone)
            thunks[case] = forward(place(network, torch.device(setting.device)), setting)
        run = race(thunks, setting)
        for address in addresses_of(name):
            target, case = (
                {"at_most": MOST} if address == name else {},
                address.replace("?body_dtype=", " in "),
            )
            figures.append(Figure.of("precision", case, run.ratio(address, "float32"), UNIT, **target))
    if setting.device == "cpu":
        products = Spread.of([product_cost(torch.bfloat16) for _ in range(setting.rounds)])
        figures.append(Figure.of("precision", "a matrix product in bfloat16", products, "product in float32"))
    return figures
