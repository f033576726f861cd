"""What may pass is tried again, what cannot is not."""

import errno

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from mlflow.exceptions import MlflowException

from flows.pipeline.retries import DELAYS_S, PATIENT, may_pass
from flows.pipeline.site import WorkFailed
from lsd_core.errors import InputError, Unreachable
from lsd_core.registry.tracking import unreachable
from lsd_core.storage.store import Store
from workers.pool import Failure, WorkerNotBuilt


def caused(error: Exception) -> WorkerNotBuilt:
    built = WorkerNotBuilt("worker could not be built")
    built.__cause__ = error
    return built


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (Unreachable("store", "answer", "s3://x"), True),
        (InputError("nfe", "be >= 1", 0), False),
        (MlflowException("Max retries exceeded"), True),
        (MlflowException.invalid_parameter_value("no such thing"), False),
        (Failure(kind="Unreachable", message="shard 3", details=""), True),
        (Failure(kind="ValueError", message="shard 3", details=""), False),
        (WorkFailed("shard 3"), False),
        (caused(Unreachable("store", "answer", "s3://x")), True),
        (caused(KeyError("weights")), False),
        (ConnectionResetError(), True),
        (ZeroDivisionError(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_which_errors_may_pass(error: Exception | Failure, passes: bool) -> None:
    assert may_pass(error) is passes


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (OSError(errno.EBUSY, "SlowDown"), True),
        (EndpointConnectionError(endpoint_url="http://x"), True),
        (TimeoutError(), True),
        (NoCredentialsError(), False),
        (PermissionError("signature"), False),
        (OSError(errno.ENOSPC, "disk full"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_a_store_says_which_of_its_troubles_may_pass(error: Exception, passes: bool) -> None:
    with pytest.raises(InputError) as told, Store("s3://bucket")._explained():
        raise error
    assert isinstance(told.value, Unreachable) is passes


def test_a_registry_that_does_not_know_us_is_not_asked_again() -> None:
    assert isinstance(unreachable("http://x", ConnectionError("refused")), Unreachable)
    refused = unreachable("http://x", MlflowException("failed with error code 401 != 200"))
    assert not isinstance(refused, Unreachable)
    assert "MLFLOW_TRACKING_PASSWORD" in str(refused)


def test_a_task_waits_longer_than_a_server_needs_to_restart() -> None:
    assert sum(DELAYS_S) > 30
    assert PATIENT["retries"] == len(DELAYS_S)
