"""Hallmarks of a variable domain: real antibodies have them, each of them counts, and chance does not make them."""

import random
import re

import pytest

from lsd_core.metrics.antibody import CORE, HALLMARKS, J_MOTIF, SHORTEST, without
from tests.lsd_core.metrics.antibodies import REAL, RESIDUES, variable_domains


def test_real_heavy_and_light_chains_have_them() -> None:
    assert not without(HALLMARKS, REAL).any()


@pytest.mark.parametrize("sequence", REAL)
def test_each_of_them_counts(sequence: str) -> None:
    found = re.search("(C).{10,17}(W).{50,65}(C).{3,35}([WF])(G).(G)", sequence)
    assert found is not None
    residues = [found.start(group) for group in range(1, 7)]
    lost = [without(HALLMARKS, [sequence[:at] + "A" + sequence[at + 1 :]])[0] for at in residues]
    assert sum(lost) >= 5, lost  # a second residue may stand at an allowed distance, as W 47 of heavy chains
    inserted = sequence[: found.start(2)] + "A" * 8 + sequence[found.start(2) :]
    assert bool(without(HALLMARKS, [inserted])[0])  # the tryptophan too far from the first cysteine


def test_core_and_motif_are_told_apart() -> None:
    heavy = REAL[0]
    assert without(CORE, [heavy, heavy.replace("C", "S")]).tolist() == [False, True]
    assert without(J_MOTIF, [heavy, heavy.replace("WGQG", "WAQA").replace("WGGDG", "WAADA")]).tolist() == [
        False,
        True,
    ]


def test_the_same_residues_in_another_order_seldom_have_them() -> None:
    gen = random.Random(0)
    shuffled = ["".join(gen.sample(sequence, len(sequence))) for sequence in REAL for _ in range(400)]
    assert without(HALLMARKS, shuffled).double().mean() > 0.97
    uniform = ["".join(gen.choices(RESIDUES, k=120)) for _ in range(4000)]
    assert without(HALLMARKS, uniform).double().mean() > 0.99


def test_the_shortest_sequence_that_can_have_them() -> None:
    shortest = "C" + "A" * 10 + "W" + "A" * 50 + "C" + "AAA" + "FGAG"
    assert len(shortest) == SHORTEST
    assert not without(HALLMARKS, [shortest])[0]
    assert without(HALLMARKS, [shortest.replace("AAA" + "FGAG", "AA" + "FGAG")])[0]


def test_random_domains_of_their_build_have_them() -> None:
    made = ["".join(RESIDUES[n] for n in row) for row in variable_domains(0, 50, 120).tolist()]
    assert not without(HALLMARKS, made).any()
    assert len(set(made)) == 50
