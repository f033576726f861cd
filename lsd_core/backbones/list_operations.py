"""List operations (as in ParallelBench, arXiv 2510.04767): an operation, a list of k values, and the answer.

A sequence has 1 + 2k tokens: the operation's number, the list, the answer. `shuffle` accepts every order of the list,
and `replace` every list that differs from it in exactly one place; the others have one answer.
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniform_grid

OPERATIONS = ("copy", "reverse", "shuffle", "sort", "replace")


def list_size(length: int) -> int:
    """k of sequences of this length; InputError where it is not 1 + 2k."""
    if length < 3 or length % 2 == 0:
        raise InputError("length", "be 1 + 2k, k >= 1: an operation, a list, an answer", length)
    return length // 2


def draw_lists(seed: int, trajectory: Tensor, length: int, num_values: int) -> Int[Tensor, "b l"]:
    """Sequences, each a function of (seed, its trajectory index): operations, values and answers all alike."""
    size = list_size(length)
    values, chance = (uniform_grid(seed, trajectory, call, length, Purpose.DATA) for call in (0, 1))
    operation = (values[:, 0] * len(OPERATIONS)).long()
    given = (values[:, 1 : 1 + size] * num_values).long()
    shuffled = given.gather(1, chance[:, 1 : 1 + size].argsort(dim=1))
    place = (chance[:, :1] * size).long()
    other = 1 + (values[:, -1:] * (num_values - 1)).long()
    replaced = given.scatter_add(1, place, other) % num_values
    answers = torch.stack([given, given.flip(1), shuffled, given.sort(dim=1).values, replaced])
    rows = torch.arange(len(trajectory), device=given.device)
    return torch.cat([operation[:, None], given, answers[operation, rows]], dim=1)


def list_templates(length: int, num_values: int, number: int, seed: int) -> Int[Tensor, "n l"]:
    """Questions: operations and lists, with the mask (num_values) for the answer; equal ones once."""
    drawn = draw_lists(seed, torch.arange(number), length, num_values)
    drawn[:, 1 + list_size(length) :] = num_values
    return drawn.unique(dim=0)


def is_answer(tokens: Int[Tensor, "n l"]) -> Bool[Tensor, " n"]:
    """Whether each sequence's answer is one of its operation on its list; no operation has no answer."""
    size = list_size(tokens.shape[1])
    operation, given, answer = tokens[:, 0], tokens[:, 1 : 1 + size], tokens[:, 1 + size :]
    ordered = given.sort(dim=1).values
    right = torch.stack(
        [
            (answer == given).all(1),
            (answer == given.flip(1)).all(1),
            (answer.sort(dim=1).values == ordered).all(1),
            (answer == ordered).all(1),
            (answer != given).sum(1) == 1,
            torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device),
        ]
    )
    return right.gather(0, operation.clamp(max=len(OPERATIONS))[None])[0]
