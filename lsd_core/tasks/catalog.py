"""Tasks by name: the metrics by which a backbone's samples are judged."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from lsd_core.backbones.catalog import BACKBONES
from lsd_core.backbones.countdown_chain import NUM_VALUES, draw_sequences
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.metrics.scores import Scores
from lsd_core.tasks import cifar10, openwebtext
from lsd_core.tasks.countdown import evaluate_countdown, later_start, show_countdown
from lsd_core.tasks.digits import check_digits, evaluate_digits, show_digits
from lsd_core.tasks.sequences import check_sequences, evaluate_sequences, show_sequences
from lsd_core.tasks.specimen import Specimen
from lsd_core.tasks.text import check_text, evaluate_text, show_text


@dataclass(frozen=True, kw_only=True)
class Task:
    """One metric decides, one guards against buying it with diversity, the others inform."""

    name: str
    primary: str
    """Name of the metric that decides; lower wins."""
    diversity: str
    """Name of the diversity metric, in nats."""
    judge: str
    """Id of what measures, recorded beside every score; a new version when a metric changes."""
    evaluate: Callable[[Tensor, AnyBackbone, int], Scores]
    """(tokens (n, l), frozen backbone, seed) -> Scores."""
    draw: Callable[[int, Tensor, int, int], Tensor] | None = None
    """(seed, trajectories (b,), length, num_tokens) -> data (b, l), where the task's law can be drawn from."""
    check: Callable[[AnyBackbone], None] = lambda backbone: None
    """Raises InputError for a backbone that the task cannot judge, before any work."""
    columns: tuple[str, ...] = ()
    """Metrics that a table on the terminal shows beside those two."""
    show: Callable[[Tensor, AnyBackbone], list[Specimen]] | None = None
    """(tokens (n, l), frozen backbone) -> what a person looks at; without it the tokens' numbers are shown."""
    places: Callable[[Tensor, int], Mapping[str, Tensor]] = lambda tokens, num_tokens: {}
    """(tokens (n, l), num_tokens) -> tokens (n, k) by name, whose marginals promotion guards beside positions'."""


TASKS: dict[str, Task] = {
    "countdown": Task(
        name="countdown",
        primary="error",
        diversity="unigram_entropy",
        judge="countdown-v1",
        evaluate=evaluate_countdown,
        draw=draw_sequences,
        columns=("start_tv",),
        show=show_countdown,
        places=later_start,
    ),
    "text": Task(
        name="text",
        primary="judge_nll",
        diversity="unigram_entropy",
        judge="text-judge-v1",
        evaluate=evaluate_text,
        check=check_text,
        show=show_text,
    ),
    "sequences": Task(
        name="sequences",
        primary="nll_per_token",
        diversity="unigram_entropy",
        judge="own-network-v1",
        evaluate=evaluate_sequences,
        check=check_sequences,
        show=show_sequences,
    ),
    "digits": Task(
        name="digits",
        primary="frechet",
        diversity="label_entropy",
        judge="digits-judge-v1",
        evaluate=evaluate_digits,
        check=check_digits,
        show=show_digits,
    ),
    "openwebtext": Task(
        name="openwebtext",
        primary="judge_nll",
        diversity="sequence_entropy",
        judge=openwebtext.JUDGE,
        evaluate=openwebtext.evaluate,
        check=openwebtext.check,
    ),
    "cifar10": Task(
        name="cifar10",
        primary="frechet_tiles",
        diversity="unigram_entropy",
        judge=cifar10.JUDGE,
        evaluate=cifar10.evaluate,
        check=cifar10.check,
        show=cifar10.show,
    ),
}


def get_task(name: str) -> Task:
    """The task of that name."""
    if name not in TASKS:
        raise InputError("task", f"be one of {sorted(TASKS)}", name)
    return TASKS[name]


def task_of(backbone: AnyBackbone) -> str:
    """What a backbone's samples are judged on: as the catalog says, or its configuration, or its tokens.

    What says nothing is of `lsd train countdown` or of GPT-2's tokens if it has as many; anything else is
    judged as sequences of whatever it may be.
    """
    if backbone.name in BACKBONES:
        return BACKBONES[backbone.name].task
    if backbone.family == "tauldr" and backbone.length == cifar10.LENGTH:
        return "cifar10"
    by_tokens = {NUM_VALUES: "countdown"} | dict.fromkeys(openwebtext.VOCABULARIES, "openwebtext")
    return str(backbone.config.get("task", by_tokens.get(backbone.process.num_tokens, "sequences")))
