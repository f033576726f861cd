"""The task sudoku: its grids and puzzles against enumeration, what decides, what is refused, and what is shown."""

from itertools import permutations, product
from xml.etree import ElementTree

import pytest
import torch

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.errors import InputError
from lsd_core.metrics.sudoku import BOXES, complete_units
from lsd_core.processes import Absorbing
from lsd_core.tasks.catalog import get_task
from lsd_core.tasks.evaluate import evaluate_tokens
from lsd_core.tasks.specimen import Diagram
from lsd_core.tasks.sudoku_grids import draw_grids, draw_sudoku, ordered_grids, solutions
from lsd_core.tasks.sudoku_puzzles import CLUES, draw_puzzles, is_unique
from lsd_core.training.sources import find_source

TASK = get_task("sudoku")
ROWS = list(permutations(range(4)))
ALL_4 = torch.tensor([sum(rows, ()) for rows in product(ROWS, repeat=4)])
"""Every 4 x 4 grid whose rows hold each digit once."""
GRIDS_4 = {tuple(grid) for grid in ALL_4[complete_units(ALL_4).all(1)].tolist()}


def test_there_are_288_grids_of_side_4_and_28_200_960_of_side_6() -> None:
    assert len(GRIDS_4) == 288
    assert {tuple(grid) for grid in solutions([4] * 16)} == GRIDS_4
    renamed = [torch.tensor(names)[ordered_grids(4)] for names in ROWS]
    assert {tuple(grid) for each in renamed for grid in each.tolist()} == GRIDS_4
    ordered = ordered_grids(6)
    assert len(ordered.unique(dim=0)) * 720 == 28_200_960
    assert bool(complete_units(ordered).all())
    assert ordered[:, :6].tolist() == [list(range(6))] * len(ordered)


def test_grids_of_side_4_are_uniform() -> None:
    number = 288 * 200
    drawn = draw_grids(3, torch.arange(number), 4)
    grids, counts = drawn.unique(dim=0, return_counts=True)
    assert {tuple(grid) for grid in grids.tolist()} == GRIDS_4
    chi_squared = float(((counts - 200.0) ** 2 / 200).sum())
    assert 190 < chi_squared < 400  # 287 degrees of freedom: the quantiles 1e-5 and 1 - 1e-5 are 193 and 397


def test_grids_of_side_6_are_spread_over_classes_and_names() -> None:
    drawn = draw_grids(5, torch.arange(4000), 6)
    assert bool(complete_units(drawn).all())
    assert len(drawn.unique(dim=0)) > 3990  # of 28 million, coincidences are rare
    for cell in (0, 7, 35):
        assert drawn[:, cell].bincount(minlength=6).sub(4000 / 6).abs().max() < 130  # 5.5 standard deviations


@pytest.mark.parametrize("side", BOXES)
def test_a_grid_is_a_function_of_seed_and_index(side: int) -> None:
    grids = draw_grids(1, torch.arange(6), side)
    assert bool(complete_units(grids).all())
    assert torch.equal(draw_grids(1, torch.tensor([4, 2]), side), grids[[4, 2]])
    assert torch.equal(draw_sudoku(1, torch.arange(6), side * side, side), grids)
    assert len(grids.unique(dim=0)) > 1
    assert not torch.equal(draw_grids(2, torch.arange(6), side), grids)


@pytest.mark.parametrize("side", BOXES)
def test_a_puzzle_has_one_solution_which_is_its_grid(side: int) -> None:
    index = torch.arange(12 if side < 9 else 2)
    puzzles, grids = draw_puzzles(1, index, side), draw_grids(1, index, side)
    assert torch.equal(draw_puzzles(1, index[-1:], side), puzzles[-1:])
    clue = puzzles != side
    assert bool((puzzles == torch.where(clue, grids, side)).all())
    assert int(clue.sum(1).min()) >= CLUES[side]
    for puzzle, grid in zip(puzzles.tolist(), grids.tolist(), strict=True):
        assert list(solutions(puzzle)) == [grid]


def test_a_puzzle_of_side_4_is_unique_by_enumeration() -> None:
    every = torch.tensor(sorted(GRIDS_4))
    for fewest in (0, 6):
        for puzzle in draw_puzzles(7, torch.arange(40), 4, fewest):
            fits = ((every == puzzle) | (puzzle == 4)).all(1)
            assert int(fits.sum()) == 1
            clues = (puzzle != 4).nonzero()[:, 0].tolist()
            assert len(clues) == 6 or (len(clues) < 6 if fewest == 0 else len(clues) > 6)
            if len(clues) > fewest:  # no clue can be spared
                for clue in clues:
                    other = puzzle.index_fill(0, torch.tensor([clue]), 4)
                    assert int(((every == other) | (other == 4)).all(1).sum()) > 1
                    assert not is_unique(other.tolist())


def test_the_solver_counts_what_enumeration_counts() -> None:
    every, gen = torch.tensor(sorted(GRIDS_4)), torch.Generator().manual_seed(0)
    for trial in range(200):  # of grids and of noise, many of which no grid fits
        cells = every[trial] if trial % 2 else torch.randint(0, 4, (16,), generator=gen)
        given = torch.where(torch.rand(16, generator=gen) < 0.25 + 0.5 * (trial % 2), cells, 4)
        fits = every[((every == given) | (given == 4)).all(1)]
        assert {tuple(grid) for grid in solutions(given.tolist())} == {tuple(grid) for grid in fits.tolist()}
    assert not is_unique([0, 0] + [4] * 14)
    assert not is_unique([4] * 16)


def test_the_share_of_grids_with_an_error_decides() -> None:
    tokens = draw_grids(0, torch.arange(4), 6)
    tokens[1, 8] = (tokens[1, 8] + 1) % 6
    tokens[3] = 0
    scores = evaluate_tokens("sudoku", tokens, exact_backbone("mine", 36, 6), 0)
    assert scores.primary.tolist() == [0, 1, 0, 1]
    assert scores.metrics["wrong"] == 0.5
    assert scores.metrics["units_wrong"] == pytest.approx((3 + 18) / (4 * 18))


def test_what_is_no_grid_is_refused() -> None:
    TASK.check(exact_backbone("mine", 81, 9))
    with pytest.raises(InputError, match="length must be one of 16, 36, 81 cells"):
        TASK.check(exact_backbone("mine", 35, 6))
    with pytest.raises(InputError, match="backbone mine must have 6 tokens, the digits of its grid, got 9"):
        TASK.check(exact_backbone("mine", 36, 9))


def test_questions_are_puzzles_with_the_mask_at_empty_cells() -> None:
    ask = TASK.conditions
    assert ask is not None
    backbone = exact_backbone("mine", 36, 6)
    templates = ask(backbone, 16, 3)
    assert torch.equal(templates, ask(backbone, 16, 3))
    assert not torch.equal(templates, ask(backbone, 16, 4))
    assert len(templates.unique(dim=0)) == len(templates) == 16
    assert isinstance(backbone.process, Absorbing)
    free = templates == backbone.process.mask
    assert int(free.sum(1).max()) <= 36 - CLUES[6]
    assert all(is_unique(row) for row in templates.tolist())


def test_a_board_shows_its_digits_and_what_repeats() -> None:
    tokens = draw_grids(0, torch.arange(2), 6)
    tokens[1, 0] = tokens[1, 1]
    assert TASK.show is not None
    right, wrong = TASK.show(tokens, exact_backbone("mine", 36, 6))
    assert isinstance(right, Diagram)
    assert isinstance(wrong, Diagram)
    ElementTree.fromstring(right.svg)  # well-formed
    assert right.caption == "solved"
    assert [part.split("<")[0] for part in right.svg.split('">')[1:] if part[:1].isdigit()] == [
        str(digit + 1) for digit in tokens[0].tolist()
    ]
    assert "#c22" not in right.svg
    twice = wrong.svg.count("#c22")
    assert twice >= 3
    assert wrong.caption == f"{twice} of 36 cells repeat a digit"


@pytest.mark.parametrize("length", [16, 36, 81])
def test_a_network_learns_from_solved_grids_and_writes_their_digits(length: int) -> None:
    source = find_source("sudoku", length)
    side = round(length**0.5)
    drawn = source.draw(3, torch.arange(4))
    assert torch.equal(drawn, draw_grids(3, torch.arange(4), side))
    assert source.process("radd") == Absorbing(side)
    assert source.labels["vocabulary"]["tokens"] == [str(digit + 1) for digit in range(side)]
    assert source.settings["position_embedding"] is True
    assert find_source("sudoku", None).length == 36
    with pytest.raises(InputError, match="length must be one of 16, 36, 81 cells"):
        find_source("sudoku", length + 1)
