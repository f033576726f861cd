"""MLflow clients with explicit URIs, checked to be reachable."""

import logging
import os
from typing import Any

from lsd_core.errors import InputError
from lsd_core.registry import tracking
from lsd_core.registry.database import ensure_database

_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    # A connection that outlives its file goes on reading what was removed, and cannot write.
    "MLFLOW_SQLALCHEMYSTORE_POOLCLASS": "NullPool",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def connect(tracking_uri: str | None, *, reading: bool = False) -> Any:
    """A client that has had an answer; what cannot be reached is refused at once, by URL and variable."""
    uri = tracking.find(tracking_uri, reading=reading)
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])
    try:
        if (file := tracking.sqlite_file(uri)) is not None:
            ensure_database(file)
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_registered_models(max_results=1)
    except InputError:
        raise
    except Exception as error:  # whatever a server, a driver or a broken file may raise: there is no registry
        raise tracking.unreachable(uri, error) from None
    return client


def check(tracking_uri: str | None = None) -> None:
    """Raise InputError unless the registry can be reached; an embedded one is made."""
    connect(tracking_uri)
