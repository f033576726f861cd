"""MOSES's data and its published figures."""

import hashlib
import math
from collections import Counter

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.metrics.frechet import Moments, frechet
from lsd_core.metrics.molecules import benchmark, chemnet, moses
from lsd_core.metrics.molecules.benchmark import moses_metrics
from lsd_core.metrics.molecules.parsing import parse
from lsd_core.metrics.molecules.pieces import cosine, fragments, scaffolds
from lsd_core.metrics.molecules.reference import Reference, hashed, shipped
from lsd_core.metrics.molecules.similarity import nearest_similarity, prints_of

SIZES = {"train": 1_584_663, "test": 176_074, "test_scaffolds": 176_225}


def spread(part: str, number: int) -> tuple[str, ...]:
    """So many molecules, from all over a part: neighbours in a file are alike."""
    whole = moses.molecules(part)
    return whole[:: len(whole) // number][:number]


@pytest.mark.slow
@pytest.mark.parametrize("part", moses.PARTS)
def test_each_part_is_whole_and_every_molecule_is_written_in_the_tokens(part: str) -> None:
    smiles = moses.molecules(part)
    assert len(smiles) == SIZES[part]
    some = spread(part, 500)
    rows = [moses.VOCABULARY.encode(text) for text in some]
    assert max(map(len, rows)) <= moses.LENGTH
    assert [moses.VOCABULARY.decode(row) for row in rows] == list(some)


@pytest.mark.slow
def test_tokens_are_the_molecules_padded_at_the_end() -> None:
    tokens = moses.tokens_of("test")
    assert tokens.shape == (SIZES["test"], moses.LENGTH)
    assert tokens.max() == moses.VOCABULARY.padding
    for index in (0, 77, 176_073):
        row = tokens[index].tolist()
        assert moses.VOCABULARY.decode(row) == moses.molecules("test")[index]
        assert row == sorted(row, key=lambda token: token == moses.VOCABULARY.padding)


def test_a_missing_wheel_says_how_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise moses.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(moses.metadata, "distribution", missing)
    with pytest.raises(InputError, match="pip install --no-deps molsets"):
        moses.path_of("train")


@pytest.mark.slow
def test_chemnet_is_deterministic_and_the_distance_is_that_of_fcd() -> None:
    from fcd.utils import calculate_frechet_distance

    smiles = spread("test", 96)
    one, other = chemnet.features(smiles[:48]), chemnet.features(smiles[48:])
    assert one.shape == (48, chemnet.WIDTH)
    torch.testing.assert_close(chemnet.features(smiles[:48], batch=7), one, rtol=1e-4, atol=1e-5)
    ours, theirs = Moments.of(one), Moments.of(other)
    expected = calculate_frechet_distance(
        ours.mean.numpy(), ours.covariance.numpy(), theirs.mean.numpy(), theirs.covariance.numpy()
    )
    assert frechet(ours, theirs) == pytest.approx(expected, rel=1e-3)


def test_the_reference_survives_its_file() -> None:
    moments = Moments.of(torch.randn(40, chemnet.WIDTH, generator=torch.Generator().manual_seed(0)))
    made = Reference(moments, {5: 2, -7: 1}, {3: 4})
    read = Reference.of_tensors("test", made.to_tensors("test"))
    assert (read.fragments, read.scaffolds) == (made.fragments, made.scaffolds)
    torch.testing.assert_close(read.moments.covariance, moments.covariance, rtol=1e-6, atol=1e-7)


def test_names_are_told_apart_by_their_hash() -> None:
    (key,) = hashed(Counter({"CCO": 3}))
    expected = hashlib.sha256(b"CCO").digest()[:8]
    assert key == int.from_bytes(expected, "big", signed=True)


@pytest.mark.slow
def test_the_shipped_reference_is_that_of_the_test_sets() -> None:
    """Molecules of a test set look like its statistics: nearly, for so few."""
    for part, other in (("test", "test_scaffolds"), ("test_scaffolds", "test")):
        smiles = spread(part, 1500)
        molecules = parse(smiles)
        frames = hashed(scaffolds(molecules))
        assert cosine(hashed(fragments(molecules)), shipped(part).fragments) > 0.995
        assert set(frames) <= set(shipped(part).scaffolds)
        assert not set(frames) & set(shipped(other).scaffolds)
        moments = Moments.of(chemnet.features(smiles[::3]))
        near, far = (frechet(moments, shipped(each).moments) for each in (part, other))
        assert near < far


@pytest.mark.slow
def test_the_published_row_of_the_training_set() -> None:
    """1,500 molecules of it: means of so few stray in the third digit, and that each is like itself takes 0.002 off."""
    found = moses_metrics(list(spread("train", 1500)))
    assert found["valid"] == found["filters"] == 1
    assert found["novelty"] == 0
    assert found["snn_test"] == pytest.approx(0.642, abs=0.01)
    assert found["snn_scaffolds"] == pytest.approx(0.586, abs=0.01)
    assert found["int_div"] == pytest.approx(0.857, abs=0.002)
    assert found["int_div_2"] == pytest.approx(0.851 - 0.002, abs=0.001)
    assert found["frag_test"] == pytest.approx(1.000, abs=0.003)
    assert found["frag_scaffolds"] == pytest.approx(0.999, abs=0.004)
    assert found["scaf_scaffolds"] == 0
    assert found["fcd_test"] < found["fcd_scaffolds"]


def test_what_is_no_molecule_counts_against_validity_alone() -> None:
    assert moses_metrics(["C(", "CCO"]) == {"valid": 0.5}


def test_a_known_molecule_is_its_own_nearest_neighbour() -> None:
    prints = prints_of(spread("test", 20))
    assert nearest_similarity(prints[:5], prints) == 1
    assert not math.isnan(nearest_similarity(prints[:5], prints[5:]))


def test_uniqueness_is_measured_where_there_are_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "FIRST", (2, 100))
    monkeypatch.setattr(benchmark, "TEST_SETS", ())
    monkeypatch.setattr(benchmark, "_known", lambda: frozenset({"CCO"}))
    found = moses_metrics(["OCC", "CCO", "CCN"])
    assert found["unique_2"] == 0.5
    assert "unique_100" not in found
    assert found["novelty"] == 0.5
