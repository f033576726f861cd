"""Benchmark `pricing`: the costs of all edges, for schedules of every budget, from one pass over teacher paths."""

import torch

from flows.bench.cases import forward, race
from flows.bench.figures import Figure, Setting
from flows.bench.shapes import Shape, get_shape, network_of
from flows.bench.timing import Race, Spread
from lsd_core.backbones.device import computing_on
from lsd_core.distillation.schedule import cheapest_schedules
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.model import EdgeCosts
from lsd_core.samplers.euler import Euler
from lsd_core.trajectories.replay import timed
from lsd_core.trajectories.types import TIME_GRID, Trajectories

TITLE = "one pass over teacher paths prices every edge, for all budgets"
LEAST = 0.9
BUDGETS = (4, 8, 16, 32, 64)
NODES = 4  # of long sequences, a quarter of the counts apart


def ask(setting: Setting) -> list[Figure]:
    """All counts where sequences are short, a few of them where they are long."""
    shape = get_shape(setting.shape)
    backbone, device = network_of(setting, "sedd"), torch.device(setting.device)
    paths = random_paths(shape, setting.batch, device)
    model = MaskedModel(backbone=backbone, method=Euler(), batch=setting.batch)
    complete = shape.length <= 256
    kept: list[EdgeCosts] = []

    def price() -> None:
        with computing_on(device):
            if complete:
                kept.append(model.edge_costs(paths))
            else:
                for node in range(0, shape.length, shape.length // NODES):
                    list(model.node_costs(paths, node))

    run: Race = race({"forward": forward(backbone, setting), "prices": price}, setting)
    grid = shape.length if complete else NODES
    what = f"{grid} counts"
    ratio = run.ratio("prices", "forward").inverse(grid)
    figures = [
        Figure.of("pricing", f"throughput, {what}", ratio, "bare forward's throughput", at_least=LEAST)
    ]
    if complete:
        schedules = cheapest_schedules(kept[0].cost, max(BUDGETS))
        priced = [budget for budget in BUDGETS if schedules[budget - 1].num_steps == budget]
        share = kept[0].sequences / (grid * len(paths))
        case = f"sequences for NFE {', '.join(map(str, priced))} together, {what}"
        figures.append(Figure.of("pricing", case, Spread.of([share]), "grid x paths", at_most=1.0))
    return figures


def random_paths(shape: Shape, num_paths: int, device: torch.device) -> Trajectories:
    """Paths of random tokens in random order: what pricing costs does not depend on them."""
    gen = torch.Generator().manual_seed(0)
    size = (num_paths, shape.length)
    ticks = torch.randint(TIME_GRID, size, generator=gen)
    paths = Trajectories(
        index=torch.arange(num_paths),
        num_tokens=shape.num_tokens,
        x_end=torch.randint(shape.num_tokens, size, generator=gen),
        reveal_time=ticks,
    )
    return timed(paths.to(device), seed=0)
