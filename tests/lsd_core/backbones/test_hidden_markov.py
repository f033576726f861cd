"""The oracle of noisy chains: its posteriors are Bayes' rule, its scores those of the noisy law."""

import pytest
import torch

from lsd_core.backbones.hidden_markov import HiddenMarkov
from lsd_core.backbones.storage import from_bytes, to_bytes
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing, Process
from tests.lsd_core.oracles import all_states
from tests.lsd_core.samplers.dense.noisy import GAUSSIAN, UNIFORM, chain, data_law, forward


@pytest.mark.parametrize("process", [UNIFORM, GAUSSIAN], ids=["uniform", "gaussian"])
@pytest.mark.parametrize("t", [0.1, 0.6, 1.0])
def test_posteriors_are_bayes_rule(process: Process, t: float) -> None:
    backbone = chain(process, length=3)
    size, x = process.num_states, all_states(process.num_states, 3)
    noise = float(process.noise.sigma_bar(torch.tensor(t, dtype=torch.float64)))
    joint = data_law(backbone)[:, None] * forward(process, 3, noise)  # [clean, noisy]
    posterior = (joint / joint.sum(0)).T.view(-1, *[size] * 3)
    law = backbone.x0_probs(x, torch.full((len(x),), t, dtype=torch.float64))
    for i in range(3):
        others = [axis + 1 for axis in range(3) if axis != i]
        torch.testing.assert_close(law[:, i], posterior.sum(others), atol=1e-10, rtol=0)


def test_chains_at_times_of_their_own_are_worked_out_alike() -> None:
    backbone, x = chain(UNIFORM), all_states(3, 2)
    t = torch.linspace(0.1, 1.0, len(x), dtype=torch.float64)
    together = backbone.score(x, t)
    for row in range(len(x)):
        torch.testing.assert_close(
            together[row : row + 1], backbone.score(x[row : row + 1], t[row : row + 1])
        )


def test_it_survives_its_file_and_refuses_a_mask() -> None:
    backbone = chain(GAUSSIAN)
    again = from_bytes(to_bytes(backbone), "file")
    assert isinstance(again, HiddenMarkov)
    assert again.fingerprint == backbone.fingerprint
    config = backbone.config | {"process": Absorbing(3).to_dict()}
    with pytest.raises(InputError, match="must be uniform or gaussian, got absorbing"):
        HiddenMarkov("masked", config, backbone.tensors())
