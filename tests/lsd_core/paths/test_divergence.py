"""Chunks of rows, which bound the memory of a table of distributions."""

import pytest
import torch

from lsd_core.paths import divergence
from lsd_core.paths.divergence import CallRows, mean_kl, row_chunks
from tests.lsd_core.oracles import misfit_backbone


def test_chunks_cover_every_row_once():
    where = torch.rand(40, 7, generator=torch.Generator().manual_seed(0)) < 0.5
    pieces = list(row_chunks(where, num_tokens=1 << 18))  # 16 rows a piece
    assert len(pieces) > 2
    assert max(len(sample) for sample, _ in pieces) == 16
    again = torch.zeros(40, 7, dtype=torch.long)
    for piece in pieces:
        again[piece] += 1
    assert torch.equal(again.bool(), where)
    assert again.max() == 1


@pytest.mark.parametrize("fits", [True, False])
def test_rows_that_are_normalised_once_have_the_divergences_of_rows_that_are_read_anew(
    fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = misfit_backbone(3, 3, 4, timed=True)
    if not fits:
        monkeypatch.setattr(divergence, "ELEMENTS", 3)
    x = torch.tensor([[3, 3, 1, 3], [0, 3, 3, 2], [0, 1, 2, 1]])
    features, other = (backbone.features(x, torch.full((3,), t, dtype=torch.float64)) for t in (0.7, 0.3))
    masked = x == 3
    some = masked & torch.tensor([True, False, True, True])
    rows = CallRows(backbone, features, masked)
    for gain in (1.0, 2.7, 0.9, 1.0):
        for where in (masked, some):
            plain = mean_kl(backbone, features, gain, features, 1.0, where)
            assert torch.allclose(rows.kl_to_plain(gain, where), plain, atol=1e-14, rtol=0)
            expected = mean_kl(backbone, features, gain, other, 1.0, where)
            assert torch.allclose(rows.kl_to(gain, other, where), expected, atol=1e-14, rtol=0)
            assert bool((expected[:2] > 1e-3).all())
            assert float(expected[2]) == 0.0


def test_the_head_runs_once_for_all_gains(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = misfit_backbone(3, 3, 4)
    x = torch.full((2, 4), 3)
    features = backbone.features(x, torch.ones(2, dtype=torch.float64))
    rows = CallRows(backbone, features, x == 3)
    again: list[float] = []
    monkeypatch.setattr(type(backbone), "head", lambda *given: pytest.fail("the head ran again"))
    for gain in (0.9, 1.0, 1.5):
        again += rows.kl_to_plain(gain, x == 3).tolist()
    assert len(again) == 3 * len(x)
