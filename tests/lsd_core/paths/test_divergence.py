"""Chunks of rows, which bound the memory of a table of distributions."""

import torch

from lsd_core.paths.divergence import row_chunks


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
