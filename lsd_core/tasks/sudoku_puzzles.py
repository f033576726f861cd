"""Sudoku puzzles with one solution, each a function of (seed, index)."""

from itertools import islice

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.tasks.sudoku_grids import draw_grids, solutions

CLUES = {4: 7, 6: 16, 9: 36}
"""Clues of a puzzle, by the side of its grid: four of nine cells. It has more where no further one can be spared."""


def is_unique(cells: list[int]) -> bool:
    """Whether a puzzle has exactly one solution; an empty cell is written as the side of the grid."""
    return len(list(islice(solutions(cells), 2))) == 1


def draw_puzzles(seed: int, index: Tensor, side: int, clues: int | None = None) -> Int[Tensor, "b l"]:
    """Puzzles (b, side * side), `side` where a cell is empty: grids of `draw_grids` with clues taken out.

    The cells are visited once in an order of the puzzle's own, and each clue is taken out whose loss leaves one
    solution, until `clues` are left.
    """
    fewest = CLUES[side] if clues is None else clues
    grids = draw_grids(seed, index, side)
    orders = uniform_grid(seed, index, 2, side * side, Purpose.DATA).argsort(dim=1)
    pairs = zip(grids.tolist(), orders.tolist(), strict=True)
    return torch.tensor([_thinned(cells, order, side, fewest) for cells, order in pairs])


def _thinned(cells: list[int], order: list[int], side: int, fewest: int) -> list[int]:
    left = len(cells)
    for cell in order:
        if left <= fewest:
            break
        digit, cells[cell] = cells[cell], side
        if is_unique(cells):
            left -= 1
        else:
            cells[cell] = digit
    return cells
