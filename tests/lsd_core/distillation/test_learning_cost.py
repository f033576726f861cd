"""Order, schedules and gains for all numbers of calls together take fewer network calls than LSD+ for one cell."""

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.markov import MarkovExact
from lsd_core.certificates.masked import reverse
from lsd_core.distillation import lsd_plus
from lsd_core.distillation.learned import Kept, Problem
from lsd_core.distillation.order_candidates import UNLEARNED
from lsd_core.distillation.path_kl import fit_all
from lsd_core.distillation.path_kl_config import PathKLConfig
from lsd_core.processes import Absorbing
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.state import Draws

LENGTH, PATHS, ORDERS = 16, 64, 4
PLACES = [5, 12, 1, 9, 14, 3, 7, 0, 11, 15, 2, 8, 13, 6, 10, 4]
OURS = PathKLConfig(price_sequences=32 * LENGTH, gain_paths=16, candidates=(1.0, 1.5, 2.7))


class Counted(MarkovExact):
    """A chain in scattered order that counts the sequences it is given."""

    sequences = 0

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        self.sequences += len(x)
        return super().features(x, t)


def scattered() -> Counted:
    config = {
        "family": "markov",
        "process": Absorbing(2).to_dict(),
        "length": LENGTH,
        "smoothing": 1e-6,
        "positions": PLACES,
    }
    transition = torch.tensor([[0.9, 0.1], [0.1, 0.9]], dtype=torch.float64)
    return Counted("chain", config, {"initial": torch.tensor([0.5, 0.5]), "transition": transition})


@pytest.mark.slow
def test_all_budgets_together_cost_less_than_one_cell_of_lsd_plus_and_are_certified_better() -> None:
    backbone = scattered()
    with torch.no_grad():  # LSD+ reads them under autograd
        paths = first_hitting(backbone, Draws(1, torch.arange(PATHS)))
    problem = Problem(
        backbone=backbone,
        sampler="learned_order",
        num_steps=4,
        trajectories=paths,
        seed=3,
        teacher_seed=1,
        batch=64,
        keep=Kept(),
    )
    backbone.sequences = 0
    ours = fit_all(problem, OURS, [2, 4, 8, 16])
    cost, backbone.sequences = backbone.sequences, 0
    search = ours[16].diagnostics["price_sequences"]
    assert cost == search + sum(each.sequences - search for each in ours.values())
    # l calls a path for the dependence and 2 l for each order compared; a call a step and path, one more a gain
    assert search <= 32 * LENGTH + ORDERS * 8 * 2 * LENGTH
    assert cost - search <= 16 * ((1 + len(OURS.candidates)) * (2 + 4 + 8) + 16)
    assert ours[4].diagnostics["order"] != UNLEARNED
    euler = Problem(
        backbone=backbone, sampler="euler", num_steps=4, trajectories=paths, seed=3, teacher_seed=1, batch=64
    )
    theirs = lsd_plus.fit(euler, lsd_plus.LSDPlusConfig(paths_per_update=64))
    assert theirs.sequences == backbone.sequences
    assert cost < theirs.sequences
    mine = reverse(backbone, "learned_order", ours[4].table, num_paths=200, seed=5, batch=200)
    other = reverse(backbone, "euler", theirs.table, num_paths=200, seed=5, batch=200)
    assert mine.value_nats + 3 * (mine.standard_error + other.standard_error) < other.value_nats
