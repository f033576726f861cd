"""Sudoku: which rows, columns and boxes of a grid hold every digit once.

A grid of side n has n digits (tokens 0..n-1), read row by row. Its boxes are 2 x 2 for side 4, 2 rows x 3 columns for
side 6, and 3 x 3 for side 9.
"""

from functools import cache

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lsd_core.errors import InputError

BOXES = {4: (2, 2), 6: (2, 3), 9: (3, 3)}
"""Rows and columns of a box, by the side of the grid."""


def side_of(length: int) -> int:
    """The side of grids of this many cells; raises InputError unless it is 4, 6 or 9."""
    for side in BOXES:
        if side * side == length:
            return side
    raise InputError("length", f"be one of {', '.join(str(side * side) for side in BOXES)} cells", length)


@cache
def units(side: int) -> Int[Tensor, "u n"]:
    """The cells of each row, each column and each box: 3n units of n cells."""
    height, width = BOXES[side]
    cells = torch.arange(side * side).view(side, side)
    boxes = cells.view(side // height, height, side // width, width).transpose(1, 2).reshape(side, side)
    return torch.cat([cells, cells.T, boxes])


def complete_units(tokens: Int[Tensor, "n l"]) -> Bool[Tensor, "n u"]:
    """Whether each unit holds every digit once."""
    side = side_of(tokens.shape[1])
    held = tokens[:, units(side).to(tokens.device)].sort(dim=-1).values  # (n, u, side)
    return (held == torch.arange(side, device=tokens.device)).all(-1)


def repeated(tokens: Int[Tensor, "n l"]) -> Bool[Tensor, "n l"]:
    """Whether each cell's digit is another cell's of its row, column or box too."""
    side = side_of(tokens.shape[1])
    cells = units(side).to(tokens.device)
    held = tokens[:, cells]
    same = (held[..., :, None] == held[..., None, :]).sum(-1) > 1
    count = torch.zeros(tokens.shape, dtype=torch.long, device=tokens.device)
    return count.index_add(1, cells.flatten(), same.flatten(1).long()) > 0
