"""States of a path at a count, a time or a step, rebuilt from its reveals in one vectorised pass, exactly.

A state (r, l) is the clean sequence with some positions masked. Every function takes one moment for all
trajectories, or one for each, and works on the device the trajectories are on.
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lsd_core.errors import InputError
from lsd_core.numerics.randomness import Purpose, uniform_grid
from lsd_core.numerics.ranks import ranks
from lsd_core.trajectories.types import TIME_GRID, Trajectories


def state_at_count(trajectories: Trajectories, num_masked: int | Int[Tensor, " n"]) -> Int[Tensor, "n l"]:
    """The state with `num_masked` of l positions masked, 0 <= num_masked <= l; needs `rank`."""
    return _hide(trajectories, hidden_at_count(trajectories, num_masked))


def state_at_time(trajectories: Trajectories, t: float | int | Float[Tensor, " n"]) -> Int[Tensor, "n l"]:
    """The state at time t in [0, 1] (1: all masked, 0: none); needs `reveal_time`."""
    return _hide(trajectories, hidden_at_time(trajectories, t))


def state_at_step(trajectories: Trajectories, step: int | Int[Tensor, " n"]) -> Int[Tensor, "n l"]:
    """The state after `step` steps, 0 (all masked) <= step <= steps (none); needs `reveal_step`."""
    return _hide(trajectories, hidden_at_step(trajectories, step))


def hidden_at_count(trajectories: Trajectories, num_masked: int | Int[Tensor, " n"]) -> Bool[Tensor, "n l"]:
    """Where the state with `num_masked` masked has the mask: rank >= l - num_masked."""
    rank = _needed(trajectories, "rank")
    return rank >= trajectories.length - _moment("num_masked", num_masked, trajectories.length, rank)


def hidden_at_time(trajectories: Trajectories, t: float | int | Float[Tensor, " n"]) -> Bool[Tensor, "n l"]:
    """Where the state at time t has the mask: a position is revealed as t comes down to its reveal time."""
    reveal_time = _needed(trajectories, "reveal_time")
    moment = torch.as_tensor(t, dtype=torch.float64)  # times 2^16 is exact, so the comparison is
    return reveal_time < _moment("t", moment, 1, reveal_time) * TIME_GRID


def hidden_at_step(trajectories: Trajectories, step: int | Int[Tensor, " n"]) -> Bool[Tensor, "n l"]:
    """Where the state after `step` steps has the mask: reveal_step >= step."""
    reveal_step = _needed(trajectories, "reveal_step")
    return reveal_step >= _moment("step", step, trajectories.steps or 0, reveal_step)


def timed(trajectories: Trajectories | None, seed: int) -> Trajectories:
    """Complete masked paths with a reveal time and a rank at every position, whatever teacher they are from.

    An N-step teacher does not record when inside its step a token came; a uniform time in it is drawn, so that
    states at its own times are its states, and between them its tokens come one at a time.
    """
    if trajectories is None or trajectories.x_end is None:
        raise InputError("trajectories", "be given with x_end", None, "name a teacher in the grid")
    time = trajectories.reveal_time
    if time is None:
        if trajectories.reveal_step is None or trajectories.steps is None:
            held = ", ".join(trajectories.columns())
            raise InputError("trajectories", "hold reveal_time or reveal_step", held)
        inside = uniform_grid(seed, trajectories.index, 0, trajectories.length, Purpose.TIME)
        time = (1 - (trajectories.reveal_step + 1 - inside) / trajectories.steps).clamp(min=0.0) * TIME_GRID
    rank = trajectories.rank
    return replace(
        trajectories, reveal_time=time, rank=ranks(time, 1, descending=True) if rank is None else rank
    )


def _hide(trajectories: Trajectories, hidden: Bool[Tensor, "n l"]) -> Int[Tensor, "n l"]:
    return _needed(trajectories, "x_end").masked_fill(hidden, trajectories.mask).long()


def _needed(trajectories: Trajectories, name: str) -> Tensor:
    column: Tensor | None = getattr(trajectories, name)
    if column is None:
        held = ", ".join(trajectories.columns())
        raise InputError(
            "trajectories", f"hold {name}", held, "read that column, or use a teacher that has it"
        )
    return column


def _moment(name: str, value: float | int | Tensor, highest: int, like: Tensor) -> Tensor:
    """The moment as a tensor that broadcasts over positions; raises InputError outside [0, highest]."""
    moment = torch.as_tensor(value, device=like.device)
    if moment.ndim > 1 or (moment.ndim == 1 and len(moment) != len(like)):
        raise InputError(name, "be one number, or one for each trajectory", tuple(moment.shape))
    if not bool(((moment >= 0) & (moment <= highest)).all()):  # NaN fails too
        raise InputError(name, f"lie in [0, {highest}]", moment.tolist())
    return moment[..., None]
