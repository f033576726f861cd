"""The definition of a task: the metrics that judge a backbone's samples, and how a sample is shown."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.metrics.scores import Scores
from lsd_core.tasks.specimen import Specimen


@dataclass(frozen=True, kw_only=True)
class Task:
    """One metric decides, one guards against a lower error at the cost of diversity, the others inform."""

    name: str
    version: int = 1
    """Raised when its scores change."""
    primary: str
    """Name of the metric that decides; lower wins."""
    diversity: str
    """Name of the diversity metric, in nats."""
    judge: str
    """Id of what measures, recorded beside every score; a new version when a metric changes."""
    evaluate: Callable[[Tensor, AnyBackbone, int], Scores]
    """(tokens (n, l), frozen backbone, seed) -> Scores."""
    draw: Callable[[int, Tensor, int, int], Tensor] | None = None
    """(seed, trajectories (b,), length, num_tokens) -> data (b, l), where the data distribution can be drawn from."""
    conditions: Callable[[AnyBackbone, int, int], Tensor] | None = None
    """(frozen backbone, number, seed) -> templates (n, l) with the mask where free, where the task asks questions."""
    check: Callable[[AnyBackbone], None] = lambda backbone: None
    """Raises InputError for a backbone that the task cannot judge, before any work."""
    columns: tuple[str, ...] = ()
    """Metrics that a table on the terminal shows beside those two."""
    places: Callable[[Tensor, int], Mapping[str, Tensor]] = lambda tokens, num_tokens: {}
    """(tokens (n, l), num_tokens) -> tokens (n, k) by name, whose marginals promotion guards beside positions'."""
    show: Callable[[Tensor, AnyBackbone], list[Specimen]] | None = None
    """(tokens (n, l), frozen backbone) -> what a person looks at; without it the tokens' numbers are shown."""
