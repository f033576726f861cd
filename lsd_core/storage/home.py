"""Where things are when nobody says: one folder, and the variables that override its parts.

A value given in code wins, then `LSD_*`, then the tool's own variable, then the home folder.
"""

import os
from pathlib import Path


def home() -> Path:
    """The project folder: `LSD_HOME`, else `lsd-data` in the current folder."""
    return Path(os.environ.get("LSD_HOME") or "lsd-data").expanduser().absolute()


def default_store() -> str:
    """URL of the store: `LSD_STORE`, else `store` in the home folder."""
    return os.environ.get("LSD_STORE") or str(home() / "store")


def default_tracking_uri() -> str:
    """The registry: `LSD_TRACKING_URI`, `MLFLOW_TRACKING_URI`, else sqlite in the home folder."""
    given = os.environ.get("LSD_TRACKING_URI") or os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"sqlite:///{home() / 'mlflow.db'}"


def weights_dir() -> Path:
    """Where downloaded weights are looked for by name: `LSD_WEIGHTS`, else `weights` in the home folder."""
    given = os.environ.get("LSD_WEIGHTS")
    return Path(given).expanduser().absolute() if given else home() / "weights"


def cache_dir() -> Path:
    """Where fetched weights are kept: `LSD_CACHE`, else `lsd` in the user's cache folder."""
    given = os.environ.get("LSD_CACHE")
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return Path(given).expanduser().absolute() if given else base / "lsd"
