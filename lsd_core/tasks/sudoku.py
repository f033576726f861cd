"""Sudoku: the share of grids that break a rule, with puzzles of its own as conditions.

A puzzle has one solution and its clues are given, so a grid that keeps the rules is the right answer. With nothing
given a single grid drawn again and again would be right, and promotion compares the samples with one another.
"""

import torch
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.errors import InputError
from lsd_core.metrics import entropy
from lsd_core.metrics.scores import Scores
from lsd_core.metrics.sudoku import BOXES, complete_units, repeated, side_of
from lsd_core.tasks.specimen import Diagram, Specimen
from lsd_core.tasks.sudoku_grids import draw_sudoku
from lsd_core.tasks.sudoku_puzzles import draw_puzzles
from lsd_core.tasks.task import Task

CELL = 22  # pixels


def evaluate_sudoku(tokens: Tensor, backbone: AnyBackbone, seed: int) -> Scores:
    """Share of grids with an error, and of rows, columns and boxes that lack a digit; no network call."""
    complete = complete_units(tokens)
    wrong = (~complete.all(1)).double()
    metrics = {
        "wrong": float(wrong.mean()),
        "units_wrong": float((~complete).double().mean()),
        "unigram_entropy": entropy.unigram_entropy(tokens),
    }
    return Scores(primary=wrong.numpy(), metrics=metrics)


def check_sudoku(backbone: AnyBackbone) -> None:
    """Raise InputError for a backbone whose sequences are not the cells of a grid, a token a digit."""
    side, tokens = side_of(backbone.length), backbone.process.num_tokens
    if tokens != side:
        raise InputError(f"backbone {backbone.name}", f"have {side} tokens, the digits of its grid", tokens)


def puzzles(backbone: AnyBackbone, number: int, seed: int) -> Tensor:
    """Puzzles with one solution each, empty cells free; equal ones once."""
    check_sudoku(backbone)
    side, mask = side_of(backbone.length), absorbing(backbone, "puzzles").process.mask
    drawn = draw_puzzles(seed, torch.arange(number), side)
    return torch.where(drawn == side, mask, drawn).unique(dim=0)


def show_sudoku(tokens: Tensor, backbone: AnyBackbone) -> list[Specimen]:
    """A board each; a digit that its row, column or box holds twice is red."""
    return [
        Diagram(_board(row, red), f"{sum(red)} of {len(red)} cells repeat a digit" if any(red) else "solved")
        for row, red in zip(tokens.tolist(), repeated(tokens).tolist(), strict=True)
    ]


def _board(digits: list[int], red: list[bool]) -> str:
    """The grid as SVG, on white, its boxes in thicker lines."""
    side = side_of(len(digits))
    height, width = BOXES[side]
    across = side * CELL
    parts = [f'<rect x="1" y="1" width="{across}" height="{across}" fill="#fff" stroke="none"/>']
    for line in range(side + 1):
        at = 1 + line * CELL
        for apart, path in ((height, f"M1 {at}h{across}"), (width, f"M{at} 1v{across}")):
            parts.append(f'<path d="{path}" stroke="#333" stroke-width="{0.5 if line % apart else 1.5}"/>')
    for cell, (digit, wrong) in enumerate(zip(digits, red, strict=True)):
        row, column = divmod(cell, side)
        x, y = 1 + (column + 0.5) * CELL, 1 + (row + 0.72) * CELL
        parts.append(f'<text x="{x:g}" y="{y:g}" fill="{"#c22" if wrong else "#222"}">{digit + 1}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across + 2}" height="{across + 2}" '
        f'font-family="sans-serif" font-size="14" text-anchor="middle">{"".join(parts)}</svg>'
    )


TASK = Task(
    name="sudoku",
    primary="wrong",
    diversity="unigram_entropy",
    judge="sudoku-v1",
    evaluate=evaluate_sudoku,
    draw=draw_sudoku,
    conditions=puzzles,
    check=check_sudoku,
    columns=("units_wrong",),
    show=show_sudoku,
)
