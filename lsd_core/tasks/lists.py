"""The task of list operations: share of wrong answers, with questions of its own as conditions."""

from torch import Tensor

from lsd_core.backbones.list_operations import OPERATIONS, draw_lists, list_size, list_templates
from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.errors import InputError
from lsd_core.metrics import entropy
from lsd_core.metrics.lists import wrong_answers, wrong_by_operation
from lsd_core.metrics.scores import Scores
from lsd_core.tasks.specimen import Specimen, Strip
from lsd_core.tasks.task import Task


def evaluate_lists(tokens: Tensor, backbone: AnyBackbone, seed: int) -> Scores:
    """Wrong answers, of all and by operation, and diversity; no network call."""
    wrong = wrong_answers(tokens)
    metrics = {
        "wrong": float(wrong.mean()),
        **wrong_by_operation(tokens),
        "unigram_entropy": entropy.unigram_entropy(tokens),
    }
    return Scores(primary=wrong.numpy(), metrics=metrics)


def check_lists(backbone: AnyBackbone) -> None:
    """Raise InputError for a backbone whose sequences cannot be an operation, a list and an answer."""
    tokens = absorbing(backbone, "task lists").process.num_tokens
    if tokens < len(OPERATIONS):
        rule = f"have at least {len(OPERATIONS)} tokens, one for each operation, for the task lists"
        raise InputError(f"backbone {backbone.name}", rule, tokens)
    list_size(backbone.length)


def questions(backbone: AnyBackbone, number: int, seed: int) -> Tensor:
    """Operations and lists whose answers are free."""
    check_lists(backbone)
    tokens = absorbing(backbone, "task lists").process.num_tokens
    return list_templates(backbone.length, tokens, number, seed)


def show_lists(tokens: Tensor, backbone: AnyBackbone) -> list[Specimen]:
    """A strip a sequence: the operation, the list, the answer, which is marked where it is wrong."""
    size, top = list_size(tokens.shape[1]), backbone.process.num_states - 2
    return [
        Strip(tuple(row), top, (False,) * (1 + size) + (bool(wrong),) * size)
        for row, wrong in zip(tokens.tolist(), wrong_answers(tokens).tolist(), strict=True)
    ]


TASK = Task(
    name="lists",
    primary="wrong",
    diversity="unigram_entropy",
    judge="lists-v1",
    evaluate=evaluate_lists,
    draw=draw_lists,
    conditions=questions,
    check=check_lists,
    columns=("wrong_shuffle", "wrong_replace"),
    show=show_lists,
)
