"""Metrics of molecules against rdkit's and scipy's own functions, and against values that follow from a definition."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from scipy.spatial.distance import cosine as cosine_distance

from lsd_core.metrics.molecules.filters import passes, passing
from lsd_core.metrics.molecules.moses import molecules
from lsd_core.metrics.molecules.parsing import canonical, parse, unique, valid
from lsd_core.metrics.molecules.pieces import cosine, fragments, scaffolds
from lsd_core.metrics.molecules.similarity import (
    fingerprints,
    internal_diversity,
    nearest_similarity,
    prints_of,
)

ASPIRIN, BENZENE, PHENYL_CYCLOHEXANE = "CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1", "C1CCC(c2ccccc2)CC1"


@pytest.fixture(scope="module")
def some() -> tuple[str, ...]:
    """Forty molecules of the training set, from all over it."""
    whole = molecules("train")
    return whole[:: len(whole) // 40][:40]


@pytest.mark.parametrize(
    "wrong", ["", "C(", "c1ccccc", "C1CC", "F(C)C", "c1cccc1", "CC)", "C==C", "[nH]", "C%C", "no SMILES"]
)
def test_what_is_no_molecule(wrong: str) -> None:
    assert parse([wrong, ASPIRIN])[0] is None
    assert len(valid(parse([wrong, ASPIRIN]))) == 1


def test_nothing_is_printed_about_what_is_no_molecule(capfd: pytest.CaptureFixture[str]) -> None:
    parse(["C(", "F(C)C"])
    assert capfd.readouterr() == ("", "")


def test_spellings_of_one_molecule_are_one() -> None:
    names = canonical(valid(parse(["OCC", "CCO", "C(O)C", BENZENE, "C1=CC=CC=C1"])))
    assert len(set(names)) == 2
    assert unique(names) == 2 / 5
    assert unique(names, 3) == 1 / 3
    assert math.isnan(unique([]))


def test_similarities_are_those_of_rdkit(some: tuple[str, ...]) -> None:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
    theirs = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in some]
    table = np.array([DataStructs.BulkTanimotoSimilarity(one, theirs) for one in theirs])
    ours = prints_of(some)
    assert internal_diversity(ours) == pytest.approx(1 - table.mean(), abs=1e-6)
    squares = np.sqrt((table**2).mean(1)).mean()
    assert internal_diversity(ours, 2) == pytest.approx(1 - squares, abs=1e-6)
    assert nearest_similarity(ours[:10], ours[10:]) == pytest.approx(table[:10, 10:].max(1).mean(), abs=1e-6)


def test_blocks_change_no_similarity(some: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    ours = prints_of(some)
    expected = internal_diversity(ours), nearest_similarity(ours[:9], ours[9:])
    monkeypatch.setattr("lsd_core.metrics.molecules.similarity.BLOCK", 7)
    found = internal_diversity(ours), nearest_similarity(ours[:9], ours[9:])
    assert found == pytest.approx(expected, abs=1e-7)


def test_molecules_without_a_bit_are_alike_and_none_have_no_diversity() -> None:
    empty = torch.zeros(2, 128, dtype=torch.uint8)
    assert internal_diversity(empty) == 0
    none = fingerprints([])
    assert math.isnan(internal_diversity(none))
    assert math.isnan(nearest_similarity(none, empty))


def test_scaffolds_have_two_rings_and_no_substituents() -> None:
    found = scaffolds(valid(parse([ASPIRIN, PHENYL_CYCLOHEXANE, "CC1CCC(c2ccccc2)CC1", "CCO"])))
    assert found == {canonical(parse([PHENYL_CYCLOHEXANE]))[0]: 2}


def test_fragments_are_cut_where_brics_cuts() -> None:
    found = fragments(parse([ASPIRIN]))
    assert sum(found.values()) == 4  # acetyl, oxygen, the ring and carboxyl
    assert fragments(parse(["CCCC"])) == {"CCCC": 1}


def test_cosines_are_those_of_scipy() -> None:
    one, other = Counter(a=3, b=1, c=2), Counter(b=5, c=1, d=4)
    expected = 1 - cosine_distance([3, 1, 2, 0], [0, 5, 1, 4])
    assert cosine(one, other) == pytest.approx(expected, abs=1e-12)
    assert cosine(one, one) == pytest.approx(1)
    assert cosine(one, Counter(d=1)) == 0
    assert math.isnan(cosine(one, Counter()))


def test_the_training_set_passes_its_filters(some: tuple[str, ...]) -> None:
    assert passing(valid(parse(some))) == 1
    assert math.isnan(passing([]))


@pytest.mark.parametrize(
    ("smiles", "why"),
    [
        ("C1CCCCCCC1", "a ring of eight"),
        ("C[N+](C)(C)C", "a charge"),
        ("CP", "an atom that is not allowed"),
        ("CC(=O)C=CC#N", "a substructure of MCF"),
        ("O=C1C=CC(=O)C=C1", "a quinone, of PAINS"),
    ],
)
def test_what_the_filters_catch(smiles: str, why: str) -> None:
    (molecule,) = valid(parse([smiles]))
    assert not passes(molecule), why
