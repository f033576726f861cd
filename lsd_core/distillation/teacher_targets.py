"""What LSD and LSD+ compare their students with: the teacher's summed transitions, computed once where they fit.

The teacher's states do not depend on the student, so neither do the transitions there: they are the same in every epoch
and, on exact paths, for every learning seed. Distributions at masked positions alone are smaller than the features they
are made from, where the vocabulary is.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.distillation.learned import Latest, Problem
from lsd_core.distillation.teacher_transitions import TeacherTransitions, masked_log_probs
from lsd_core.paths.divergence import row_chunks
from lsd_core.paths.teacher_features import CACHE_BYTES, distinct_features, hidden_before

Read = Callable[[tuple[Tensor, Tensor]], Tensor]
"""The transition to each token (r, v), float64, at chosen (sample, position); zero where a token is revealed."""


class TeacherTargets:
    """The targets of one learning run, and the teacher sequences that they take, whoever computed them."""

    def __init__(self, problem: Problem, teacher: TeacherTransitions, block: int) -> None:
        self.teacher = teacher
        self._cache: CachedTargets | None = None
        self._asked = dict[tuple[int, int], int]()  # sequences, by interval and block of paths
        if 8 * teacher.num_hidden * teacher.backbone.process.num_tokens <= CACHE_BYTES:
            stored = problem.trajectories
            seed = problem.seed if stored is not None and stored.reveal_time is None else None
            name = (teacher.key, block, seed)
            latest: Latest = problem.keep("teacher targets", Latest)
            self._cache = latest(name, lambda: CachedTargets(teacher, block))

    @property
    def sequences(self) -> int:
        """Teacher sequences that were needed so far."""
        return self.teacher.features.sequences + sum(self._asked.values())

    def hidden(self, rows: Int[Tensor, " r"], k: int) -> Bool[Tensor, "r l"]:
        """Where the paths are masked when interval k begins."""
        return self.teacher.hidden(rows, k) if self._cache is None else self._cache.place(k)[rows] >= 0

    def load(self, rows: Int[Tensor, " r"], k: int) -> Read:
        """The targets of interval k on these paths."""
        if self._cache is None:
            loaded = self.teacher.load(rows, k)
            return lambda row: self.teacher.summed(loaded, row)
        for block in (rows // self._cache.block).unique().tolist():
            self._asked[k, block] = self._cache.fill(k, block)
        return self._cache.reader(rows, k)


class CachedTargets:
    """Targets at all masked positions of the teacher's states, computed when first needed.

    They are computed for whole blocks of neighbouring paths, so that neither who asks first nor with which others
    decides what goes through the network together: their bits do not depend on it.
    """

    def __init__(self, teacher: TeacherTransitions, block: int) -> None:
        self.teacher, self.block = teacher, block
        self._values = dict[int, Tensor]()  # (hidden positions of all paths, v) of an interval
        self._place = dict[int, Tensor]()
        self._took = dict[tuple[int, int], int]()

    def place(self, k: int) -> Int[Tensor, "n l"]:
        """Where the values of each position of all paths are in interval k; -1 if it is not masked as that begins."""
        if k not in self._place:
            hidden = hidden_before(self.teacher.paths, self.teacher.interval(k)[0])
            self._place[k] = torch.where(hidden, hidden.flatten().cumsum(0).view_as(hidden) - 1, -1)
        return self._place[k]

    def reader(self, rows: Int[Tensor, " r"], k: int) -> Read:
        """Reads what was filled."""
        values, place = self._values[k], self.place(k)[rows]

        def read(row: tuple[Tensor, Tensor]) -> Float[Tensor, "r v"]:
            at = place[row]
            found = values[at.clamp(min=0)]
            return found if bool((at >= 0).all()) else found.masked_fill((at < 0)[:, None], 0.0)

        return read

    @torch.no_grad()
    def fill(self, k: int, block: int) -> int:
        """Compute the targets of interval k on a block of paths, unless they are there; gives the sequences it took."""
        if (k, block) not in self._took:
            if k not in self._values:
                num_hidden = int(self.place(k).max()) + 1
                num_tokens = self.teacher.backbone.process.num_tokens
                self._values[k] = torch.empty(num_hidden, num_tokens, dtype=torch.float64)
            self._took[k, block] = self._compute(k, block)
        return self._took[k, block]

    def _compute(self, k: int, block: int) -> int:
        teacher, backbone, moments = self.teacher, self.teacher.backbone, self.teacher.interval(k)
        rows = torch.arange(len(teacher.paths))[block * self.block : (block + 1) * self.block]
        paths = teacher.paths.select(rows)
        assert paths.x_end is not None
        hidden = torch.stack([hidden_before(paths, moment) for moment in moments])  # (p, b, l)
        looked_at = hidden.any(-1)  # finished states have nothing to be compared
        if not bool(looked_at.any()):
            return 0
        x = torch.where(hidden, paths.mask, paths.x_end.long())[looked_at]
        t = torch.tensor([moment.t for moment in moments], dtype=torch.float64)[looked_at.nonzero()[:, 0]]
        features, which = distinct_features(backbone, x, t, self.block)
        masked = torch.zeros(features.shape[:2], dtype=torch.bool).index_put((which,), hidden[looked_at])
        state = torch.zeros(looked_at.shape, dtype=torch.long).masked_scatter(looked_at, which)
        for sample, position in row_chunks(hidden[0], backbone.process.num_tokens):
            total = torch.zeros(len(sample), backbone.process.num_tokens, dtype=torch.float64)
            for number, moment in enumerate(moments):
                at = hidden[number, sample, position].nonzero()[:, 0]
                row = (state[number, sample[at]], position[at])
                log_probs, _ = masked_log_probs(backbone, features, row, masked)
                total.index_add_(0, at, log_probs.exp(), alpha=float(teacher.chances[moment.index]))
            self._values[k][self.place(k)[rows[sample], position]] = total
        return len(features)
