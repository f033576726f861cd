"""Default paths and the environment variables that replace them.

A value given in code, on a command line or in a config wins; then `LSD_*`, then the tool's own variable, then a place
in the home folder. This is the one place where that order is written; `flows.settings` adds the first two.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from lsd_core.errors import InputError

# Setting -> the variables that may hold it, first wins.
VARIABLES: dict[str, tuple[str, ...]] = {
    "home": ("LSD_HOME",),
    "store": ("LSD_STORE",),
    "tracking_uri": ("LSD_TRACKING_URI", "MLFLOW_TRACKING_URI"),
    "ray_address": ("LSD_RAY_ADDRESS", "RAY_ADDRESS"),
    "prefect_api_url": ("LSD_PREFECT_API_URL", "PREFECT_API_URL"),
    "weights": ("LSD_WEIGHTS",),
    "cache": ("LSD_CACHE",),
}


def given(setting: str, env: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """(value, variable) of a setting in the environment; an empty variable counts as none."""
    env = os.environ if env is None else env
    return next(((env[name], name) for name in VARIABLES[setting] if env.get(name)), None)


def inside(home: Path) -> dict[str, str]:
    """Where things are in a home folder."""
    return {
        "home": str(home),
        "store": str(home / "store"),
        "tracking_uri": f"sqlite:///{home / 'mlflow.db'}",
        "weights": str(home / "weights"),
    }


def home() -> Path:
    """The project folder: `lsd-data` in the current folder by default."""
    return expanded(_value("home", "lsd-data"))


def default_store() -> str:
    """URL of the store: `store` in the home folder by default."""
    return _value("store", inside(home())["store"])


def default_tracking_uri() -> str:
    """The registry: sqlite in the home folder by default."""
    return _value("tracking_uri", inside(home())["tracking_uri"])


def weights_dir() -> Path:
    """Where downloaded weights are looked for by name: `weights` in the home folder by default."""
    return expanded(_value("weights", inside(home())["weights"]))


def cache_dir() -> Path:
    """Where fetched weights are cached: `lsd` in the user's cache folder by default."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return expanded(_value("cache", f"{base}/lsd"))


def _value(setting: str, default: str) -> str:
    found = given(setting)
    return default if found is None else found[0]


def expanded(text: str) -> Path:
    """An absolute path, with `~` written out; InputError where nobody knows whose home that is."""
    try:
        return Path(text).expanduser().absolute()
    except (RuntimeError, ValueError) as error:
        remedy = "write the path out, or set HOME (or LSD_HOME, LSD_CACHE)"
        raise InputError("path", "lie in a home folder that is known", text, f"{remedy}; {error}") from None
