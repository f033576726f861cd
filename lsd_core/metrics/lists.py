"""List operations: share of wrong answers, of all and of each operation."""

import math

from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.list_operations import OPERATIONS, is_answer


def wrong_answers(tokens: Int[Tensor, "n l"]) -> Float[Tensor, " n"]:
    """1 for a sequence whose answer is wrong."""
    return (~is_answer(tokens)).double()


def wrong_by_operation(tokens: Int[Tensor, "n l"]) -> dict[str, float]:
    """Share of wrong answers of each operation; NaN for one that no sequence asks for."""
    wrong, found = wrong_answers(tokens), dict[str, float]()
    for number, name in enumerate(OPERATIONS):
        asked = wrong[tokens[:, 0] == number]
        found[f"wrong_{name}"] = float(asked.mean()) if len(asked) else math.nan
    return found
