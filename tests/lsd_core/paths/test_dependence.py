"""Dependence between positions: the divergences it sums, and the calls it takes."""

import pytest
import torch

from lsd_core.paths.dependence import measure_dependence
from lsd_core.samplers.first_hitting import first_hitting
from lsd_core.samplers.state import Draws
from lsd_core.trajectories.replay import timed
from tests.lsd_core.oracles import exact_backbone, joint_law, misfit_backbone, number_of

LENGTH = 5


@pytest.mark.parametrize("batch", [3, 50])
def test_it_is_what_a_plain_loop_over_neighbouring_states_sums(batch: int) -> None:
    backbone = misfit_backbone(1, 2, LENGTH)
    paths = timed(first_hitting(backbone, Draws(2, torch.arange(12))), 0)
    backbone.sequences = 0
    found = measure_dependence(backbone, paths, batch)
    assert found.sequences == backbone.sequences == 12 * LENGTH
    total, states = torch.zeros_like(found.total), torch.zeros_like(found.states)
    assert paths.rank is not None
    assert paths.x_end is not None
    for rank, tokens in zip(paths.rank.tolist(), paths.x_end.tolist(), strict=True):
        order = sorted(range(LENGTH), key=lambda i, rank=rank: rank[i])
        state = torch.full((1, LENGTH), 2)
        for unmasked, i in enumerate(order):
            before = backbone.table[number_of(state, 3)[0]].softmax(-1)
            state[0, i] = tokens[i]
            after = backbone.table[number_of(state, 3)[0]].softmax(-1)
            for j in order[unmasked + 1 :]:
                kl = float((after[j] * (after[j] / before[j]).log()).sum())
                total[len(f"{unmasked:b}") if unmasked else 0, i, j] += kl
                states[len(f"{unmasked:b}") if unmasked else 0, i, j] += 1
    torch.testing.assert_close(found.total, total, atol=1e-10, rtol=0)
    assert torch.equal(found.states, states)


def test_for_a_consistent_network_it_estimates_mutual_information() -> None:
    joint = joint_law(1, 3, 2, 2.0)
    paths = timed(first_hitting(exact_backbone(joint), Draws(2, torch.arange(4000))), 0)
    found = measure_dependence(exact_backbone(joint), paths, 500).near(0)
    apart = joint.sum(1)[:, None] * joint.sum(0)[None]
    assert float(found[0, 1]) == pytest.approx(float((joint * (joint / apart).log()).sum()), rel=0.05)
    assert torch.equal(found, found.T)
    assert float(found.diagonal().abs().max()) == 0


def test_pairs_that_no_path_showed_there_have_their_mean_over_all_states() -> None:
    backbone = misfit_backbone(1, 2, LENGTH)
    found = measure_dependence(backbone, timed(first_hitting(backbone, Draws(2, torch.arange(1))), 0), 1)
    for unmasked in range(LENGTH):
        near = found.near(unmasked)
        assert bool((near.masked_select(~torch.eye(LENGTH, dtype=torch.bool)) > 0).all())
