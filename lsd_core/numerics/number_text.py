"""Numbers as text: errors, entropies, ratios, certificates with standard errors, alike wherever they are shown."""

import math

ERRORS = 2.0
"""Standard errors between an estimate and what is claimed of it."""
NOTHING = 1e-9
"""nat: an estimate and an error below it are rounding."""

ROUNDING = 1e-12
"""A difference of errors below it is rounding: that of equal means, added up in another order."""


def short(value: float | None) -> str:
    """Four digits: `0.02231`."""
    return "not finite" if value is None or not math.isfinite(value) else f"{value:.4g}"


def signed(value: float) -> str:
    """A difference: `-0.1607`; `+0` where it is rounding."""
    return f"{0.0 if abs(value) < ROUNDING else value:+.4g}"


def entropy_text(value: float | None) -> str:
    """An entropy in nats, to the digits in which entropies are compared: `3.301`."""
    return "not finite" if value is None or not math.isfinite(value) else f"{value:.3f}"


def ratio_text(one: float, other: float) -> str:
    """One error as a share of another's: `0.263`, `0.000867`; empty where the other is zero or not finite."""
    if not other or not math.isfinite(one) or not math.isfinite(other):
        return ""
    share = one / other
    return f"{share:.3f}" if abs(share) >= 0.1 else f"{share:.3g}"


def interval_text(mean: float | None, low: float | None, high: float | None) -> str:
    """`0.0223 (0.0213 to 0.0233)`; the mean alone where there is no interval."""
    return short(mean) if low is None or high is None else f"{short(mean)} ({short(low)} to {short(high)})"


def estimate_text(value: float | None, error: float) -> str:
    """`22.3 ± 0.4`: an estimate with its standard error; empty where there is none."""
    if value is None:
        return ""
    if not error > 0 or not math.isfinite(value) or not math.isfinite(error):
        return f"{value:.3g}" if math.isfinite(value) else "not finite"
    if max(abs(value), error) < NOTHING:
        return "0"
    power = math.floor(math.log10(error))
    decimals = max(
        0, (1 if error < 2 * 10.0**power else 0) - power
    )  # two digits of an error that begins with 1
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def at_most_text(value: float, error: float, paths: int) -> str:
    """What an estimated bound proves, the value with two standard errors: `at most 47.2 nat`.

    No standard error says how far zeros alone may be from their expectation: `0 nat on each of 128 paths`.
    """
    if paths and max(abs(value), error) < NOTHING:
        return f"0 nat on each of {paths} paths"
    return f"at most {value + ERRORS * error:.3g} nat"
