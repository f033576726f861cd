"""Solved sudoku grids, each a function of (seed, index), and a solver that counts.

Sides 4 and 6 are drawn uniformly from all grids (288 and 28,200,960): there are few with the digits of the first row
in order (12 and 39,168), which are enumerated once, and every grid is one of them with its digits renamed. Of side 9
there are 6,670,903,752,021,072,936,960 (Felgenhauer and Jarvis 2005): a backtracking search with random choices draws
one, any of them with some probability, not all with the same.
"""

from collections.abc import Iterator
from functools import cache
from itertools import permutations

import torch
from jaxtyping import Int
from torch import Tensor

from lsd_core.metrics.sudoku import BOXES, side_of, units
from lsd_core.numerics.randomness import Purpose, drawn_index, uniform_grid, uniforms

ENUMERATED = 6  # the largest side whose grids are enumerated


@cache
def ordered_grids(side: int) -> Int[Tensor, "m l"]:
    """All grids whose first row is 0, 1, ..., one row after another; sides 4 and 6."""
    height, width = BOXES[side]
    rows = torch.tensor(list(permutations(range(side))))
    box = torch.arange(side) // width
    # Which rows may stand in one grid, and which in one band of boxes besides: no digit twice in a column, or in a box.
    columns = (rows[:, None] != rows[None]).all(-1)
    boxes = torch.zeros(len(rows), side, dtype=torch.long).scatter(1, rows, box.expand(len(rows), -1))
    bands = columns & (boxes[:, None] != boxes[None]).all(-1)
    grids = torch.zeros(1, 1, dtype=torch.long)
    for row in range(1, side):
        fits = torch.ones(len(grids), len(rows), dtype=torch.bool)
        for earlier in range(row):
            fits &= (bands if earlier // height == row // height else columns)[grids[:, earlier]]
        begun, following = fits.nonzero(as_tuple=True)
        grids = torch.cat([grids[begun], following[:, None]], dim=1)
    return rows[grids].flatten(1)


def draw_grids(seed: int, index: Tensor, side: int) -> Int[Tensor, "b l"]:
    """Solved grids, each a function of (seed, its index)."""
    if side > ENUMERATED:
        return torch.stack([_searched(seed, number, side) for number in index.tolist()])
    grids = ordered_grids(side)
    names = uniform_grid(seed, index, 1, side, Purpose.DATA).argsort(dim=1)
    return names.gather(1, grids[drawn_index(seed, index, len(grids))])


def draw_sudoku(seed: int, trajectory: Tensor, length: int, num_tokens: int) -> Int[Tensor, "b l"]:
    """The same in the form in which a task draws from its data."""
    return draw_grids(seed, trajectory, side_of(length))


def _searched(seed: int, number: int, side: int) -> Int[Tensor, " l"]:
    """The first grid of a search that tries each cell's digits in an order of its own."""
    position = torch.arange(side**3)
    chance = uniforms(seed, torch.full_like(position, number), 0, position, Purpose.DATA)
    orders = chance.view(side * side, side).argsort(dim=1).tolist()
    return torch.tensor(next(solutions([side] * side**2, orders)))


@cache
def peers(side: int) -> tuple[tuple[int, ...], ...]:
    """The other cells of each cell's row, column and box."""
    together = units(side).tolist()
    return tuple(
        tuple(sorted({other for unit in together if cell in unit for other in unit} - {cell}))
        for cell in range(side * side)
    )


def solutions(cells: list[int], orders: list[list[int]] | None = None) -> Iterator[list[int]]:
    """Every solved grid with the digits of `cells`, in which `side` stands for an empty one.

    Depth first, the cell with the fewest possible digits next (the first of them); its digits in the order of `orders`,
    or from 0 on.
    """
    side = side_of(len(cells))
    of, every = peers(side), (1 << side) - 1
    grid = list(cells)
    possible = [every] * len(grid)
    for cell, digit in enumerate(cells):
        if digit != side:
            if not possible[cell] >> digit & 1:
                return
            for other in of[cell]:
                possible[other] &= ~(1 << digit)
    yield from _completed(grid, possible, [c for c, digit in enumerate(cells) if digit == side], orders, of)


def _completed(
    grid: list[int],
    possible: list[int],
    free: list[int],
    orders: list[list[int]] | None,
    of: tuple[tuple[int, ...], ...],
) -> Iterator[list[int]]:
    if not free:
        yield list(grid)
        return
    cell = min(free, key=lambda each: possible[each].bit_count())
    rest = [each for each in free if each != cell]
    for digit in range(len(of[cell])) if orders is None else orders[cell]:
        bit = 1 << digit
        if not possible[cell] & bit:
            continue
        grid[cell] = digit
        narrowed = [other for other in of[cell] if possible[other] & bit]
        for other in narrowed:
            possible[other] ^= bit
        if all(possible[other] for other in rest):
            yield from _completed(grid, possible, rest, orders, of)
        for other in narrowed:
            possible[other] ^= bit
