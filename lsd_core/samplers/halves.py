"""What the methods with two calls a step share: a step cut in two."""

from dataclasses import replace

from lsd_core.errors import InputError
from lsd_core.samplers.step import Step, time_of_count


def check_theta(theta: float) -> None:
    if not 0 < theta < 1:
        raise InputError("theta", "lie in (0, 1)", theta)


def cut(step: Step, theta: float, length: int) -> tuple[Step, Step]:
    """The step from t to rho = t - theta (t - s), and the step from there to s; each has its own index.

    On a grid of counts the first part reveals the share theta of the tokens, rounded down.
    """
    if step.counts is None:
        middle, before, after = step.t - theta * (step.t - step.s), None, None
    else:
        n, m = step.counts
        count = n - int(theta * (n - m))
        middle, before, after = time_of_count(count, length), (n, count), (count, m)
    first = replace(step, index=2 * step.index, s=middle, counts=before)
    return first, replace(step, index=2 * step.index + 1, t=middle, counts=after)
