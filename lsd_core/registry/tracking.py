"""Tracking URI: where the MLflow server or database is, and whether it answers."""

import re
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit

from lsd_core.errors import InputError, Unreachable
from lsd_core.storage.home import default_tracking_uri
from lsd_core.storage.store import redacted

VARIABLE = "LSD_TRACKING_URI or MLFLOW_TRACKING_URI"
_SQLITE = "sqlite:///"


def find(given: str | None, *, reading: bool) -> str:
    """The tracking URI to use, with an absolute path if it is a file.

    Raises InputError for a server that does not answer within seconds and, when only `reading`, for a
    database that does not exist: looking must not make an empty one.
    """
    uri = given or default_tracking_uri()
    if (file := sqlite_file(uri)) is not None:
        if reading and not file.exists():
            raise InputError("registry", "exist", str(file), f"run `lsd grid` first, or set {VARIABLE}")
        file.parent.mkdir(parents=True, exist_ok=True)
        return f"{_SQLITE}{file}"
    if uri.startswith(("http://", "https://")):
        _knock(uri)
    return uri


def sqlite_file(uri: str) -> Path | None:
    """The database behind a sqlite URI; None for any other."""
    return Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None


def unreachable(uri: str, error: Exception) -> InputError:
    """Says which URL did not answer or refused, why, and which variable to set; a password stays out."""
    reason, *_ = str(getattr(error, "reason", error)).splitlines() or [type(error).__name__]
    text = f"{reason} from {uri}".replace(uri, redacted(uri))
    for secret in filter(None, (_password(uri), uri.rpartition("@")[0].rpartition(":")[2])):
        text = text.replace(secret, "***")
    if "out-of-date database schema" in reason:
        remedy = (
            f"copy it, then: mlflow db upgrade {uri}; or install the MLflow that made it, if that is newer"
        )
        return InputError("registry", "be of the schema of the MLflow that is installed", uri, remedy)
    if re.search(r"error code 40[13]", reason):
        remedy = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        return InputError("tracking server", "let you in", text, remedy)
    remedy = f"start the server, or set {VARIABLE} (and MLFLOW_TRACKING_TOKEN if it asks who you are)"
    return Unreachable("tracking server", "answer", text, remedy)


def _password(uri: str) -> str | None:
    try:
        return urlsplit(uri).password
    except ValueError:
        return None


def _knock(uri: str) -> None:
    """Any HTTP answer will do; MLflow's own retries take minutes to find out that there is none."""
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=5).close()
    except urllib.error.HTTPError:
        return
    except (OSError, ValueError, HTTPException) as error:
        raise unreachable(uri, error) from None
