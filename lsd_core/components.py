"""Our own components, by entry point group: the same lines as in pyproject.toml, in the order of lists and reports.

They are not read from the installed metadata. A checkout that is imported through the path may lie beside metadata
of an older version or none, and metadata sort names alphabetically. `tests/lsd_core/test_plugins.py` holds both equal.
"""

DISTRIBUTION = "lsd-samplers"

_SAMPLERS = "lsd_core.samplers"
_METHODS = "lsd_core.distillation"
_BACKBONES = "lsd_core.backbones"
_METRICS = "lsd_core.metrics"

OURS: dict[str, dict[str, str]] = {
    "lsd.samplers": {
        "euler": f"{_SAMPLERS}.euler:Euler",
        "tweedie": f"{_SAMPLERS}.euler:Tweedie",
        "fixed_counts": f"{_SAMPLERS}.fixed_counts:FixedCounts",
        "halton": f"{_SAMPLERS}.halton:Halton",
        "tau_leaping": f"{_SAMPLERS}.tau_leaping:TauLeaping",
        "tau_leaping_corrected": f"{_SAMPLERS}.tau_leaping:TauLeapingCorrected",
        "theta_rk2": f"{_SAMPLERS}.theta_rk2:ThetaRK2",
        "theta_trapezoidal": f"{_SAMPLERS}.theta_trapezoidal:ThetaTrapezoidal",
        "balanced_split": f"{_SAMPLERS}.balanced_split:BalancedSplit",
    },
    "lsd.orders": {
        "uniform": f"{_SAMPLERS}.order:UNIFORM",
        "halton": f"{_SAMPLERS}.order:HALTON",
    },
    "lsd.methods": {},
    "lsd.backbones": {},
    "lsd.tasks": {},
    "lsd.metrics": {},
}
