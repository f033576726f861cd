"""The exact backbone of list operations has the conditionals of its joint distribution, by enumeration."""

import math
from collections import Counter
from itertools import permutations

import pytest
import torch
from torch import Tensor

from lsd_core.backbones.list_operations import OPERATIONS, draw_lists, is_answer, list_templates
from lsd_core.backbones.lists import ListsExact, lists_exact
from lsd_core.backbones.storage import from_bytes, to_bytes
from lsd_core.errors import InputError
from lsd_core.metrics.lists import wrong_answers, wrong_by_operation
from tests.lsd_core.oracles import all_states

V, SIZE = 5, 2
BACKBONE = lists_exact("small", SIZE, V, smoothing=0.05)
TOKENS = all_states(V, 1 + 2 * SIZE)


def answer_chances(operation: str, given: tuple[int, ...]) -> dict[tuple[int, ...], float]:
    """Every right answer and its probability, from the definition of the operation."""
    if operation == "shuffle":
        orders = Counter(permutations(given))
        return {order: count / math.factorial(len(given)) for order, count in orders.items()}
    if operation == "replace":
        changed = [
            (*given[:i], other, *given[i + 1 :])
            for i, old in enumerate(given)
            for other in range(V)
            if other != old
        ]
        return {each: 1 / len(changed) for each in changed}
    return {{"copy": given, "reverse": given[::-1], "sort": tuple(sorted(given))}[operation]: 1.0}


@pytest.fixture(scope="module")
def joint() -> Tensor:
    law = torch.full((len(TOKENS),), BACKBONE.smoothing / len(TOKENS), dtype=torch.float64)
    for number, row in enumerate(TOKENS.tolist()):
        given, answer = tuple(row[1 : 1 + SIZE]), tuple(row[1 + SIZE :])
        if row[0] < len(OPERATIONS):
            chance = answer_chances(OPERATIONS[row[0]], given).get(answer, 0.0)
            law[number] += (1 - BACKBONE.smoothing) / len(OPERATIONS) * chance / V**SIZE
    return law


def test_conditionals_are_those_of_the_joint_distribution(joint: Tensor) -> None:
    assert float(joint.sum()) == pytest.approx(1)
    gen = torch.Generator().manual_seed(0)
    states = TOKENS[torch.randint(len(TOKENS), (300,), generator=gen)]
    states[:150] = TOKENS[
        joint.multinomial(150, replacement=True, generator=gen)
    ]  # ones that an operation gives
    states = states.masked_fill(torch.rand(states.shape, generator=gen) < 0.6, V)
    found = BACKBONE.features(states, torch.ones(len(states))).exp()
    for state, law in zip(states, found, strict=True):
        weight = joint * ((state == TOKENS) | (state == V)).all(1)
        for i in (state == V).nonzero()[:, 0].tolist():
            expected = torch.zeros(V, dtype=torch.float64).index_add_(0, TOKENS[:, i], weight)
            torch.testing.assert_close(law[i], expected / expected.sum(), rtol=1e-9, atol=1e-12)


def test_drawn_sequences_are_answers_with_the_chances_of_the_joint_distribution() -> None:
    drawn = draw_lists(3, torch.arange(20_000), 1 + 2 * SIZE, V)
    assert not bool(wrong_answers(drawn).any())
    pairs = drawn[(drawn[:, 0] == OPERATIONS.index("replace")) & (drawn[:, 1] == 1) & (drawn[:, 2] == 3)]
    seen = Counter(tuple(row[3:]) for row in pairs.tolist())
    assert seen.keys() == answer_chances("replace", (1, 3)).keys()
    assert len(drawn[:, 0].unique()) == len(OPERATIONS)


def test_wrong_answers_are_those_that_no_operation_gives() -> None:
    right = [
        row[0] < len(OPERATIONS)
        and tuple(row[1 + SIZE :]) in answer_chances(OPERATIONS[row[0]], tuple(row[1 : 1 + SIZE]))
        for row in TOKENS.tolist()
    ]
    assert is_answer(TOKENS).tolist() == right
    assert wrong_by_operation(torch.tensor([[0, 1, 2, 1, 2], [2, 1, 2, 2, 2]]))["wrong_shuffle"] == 1
    assert math.isnan(wrong_by_operation(torch.tensor([[0, 1, 2, 1, 2]]))["wrong_sort"])


def test_questions_leave_the_answer_free_and_differ() -> None:
    found = list_templates(7, V, 50, seed=1)
    assert bool((found[:, 4:] == V).all())
    assert bool((found[:, :4] < V).all())
    assert len(found.unique(dim=0)) == len(found) > 40


def test_it_is_read_from_its_file_and_refuses_other_shapes() -> None:
    again = from_bytes(to_bytes(BACKBONE), "file")
    assert again.fingerprint == BACKBONE.fingerprint
    with pytest.raises(InputError, match="1 \\+ 2k"):
        ListsExact("even", BACKBONE.config | {"length": 6}, BACKBONE.tensors())
