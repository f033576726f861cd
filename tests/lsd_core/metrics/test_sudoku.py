"""The rules of sudoku: which units hold every digit, and which cells repeat one, against their definitions."""

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.metrics.sudoku import BOXES, complete_units, repeated, side_of, units


def same_unit(side: int, one: int, other: int) -> bool:
    """By the definition: the same row, column or box."""
    height, width = BOXES[side]
    (r, c), (s, d) = divmod(one, side), divmod(other, side)
    return r == s or c == d or (r // height, c // width) == (s // height, d // width)


@pytest.mark.parametrize("side", BOXES)
def test_each_cell_lies_in_three_units_of_cells_that_are_together(side: int) -> None:
    found = units(side)
    assert found.shape == (3 * side, side)
    assert found.flatten().bincount().tolist() == [3] * side**2
    assert len({tuple(sorted(unit)) for unit in found.tolist()}) == 3 * side
    for unit in found.tolist():
        assert all(same_unit(side, one, other) for one in unit for other in unit)


@pytest.mark.parametrize("side", BOXES)
def test_a_cell_is_repeated_where_another_of_its_units_has_its_digit(side: int) -> None:
    tokens = torch.randint(0, side, (8, side**2), generator=torch.Generator().manual_seed(side))
    tokens[0] = torch.arange(side**2)  # no digit of the grid, and none twice
    expected = [
        [
            any(
                same_unit(side, cell, other) and row[cell] == row[other]
                for other in range(side**2)
                if other != cell
            )
            for cell in range(side**2)
        ]
        for row in tokens.tolist()
    ]
    assert repeated(tokens).tolist() == expected
    whole = [
        [sorted(row[cell] for cell in unit) == list(range(side)) for unit in units(side).tolist()]
        for row in tokens.tolist()
    ]
    assert complete_units(tokens).tolist() == whole


def test_boxes_of_side_6_are_two_rows_of_three() -> None:
    assert units(6)[12:14].tolist() == [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10, 11]]


def test_one_changed_digit_breaks_its_row_column_and_box() -> None:
    grid = torch.tensor([[0, 1, 2, 3, 2, 3, 0, 1, 1, 0, 3, 2, 3, 2, 1, 0]])
    assert bool(complete_units(grid).all())
    assert not bool(repeated(grid).any())
    broken = grid.clone()
    broken[0, 5] = 2  # beside 2, above 2 at the foot of its column, in the box of 2
    assert (~complete_units(broken))[0].nonzero()[:, 0].tolist() == [1, 5, 8]
    assert bool(repeated(broken)[0, 5])


def test_other_lengths_are_no_grid() -> None:
    assert [side_of(length) for length in (16, 36, 81)] == [4, 6, 9]
    for length in (1, 25, 35, 64):
        with pytest.raises(InputError, match="length must be one of 16, 36, 81 cells"):
            side_of(length)
