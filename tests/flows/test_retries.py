"""What may pass is tried again, what cannot is not."""

import errno

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from mlflow.exceptions import MlflowException

from flows.pipeline import retries
from flows.pipeline.retries import DELAYS_S, PATIENT, may_pass, patiently
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


@pytest.mark.parametrize(
    ("errors", "tries"),
    [
        ([], 1),
        ([Unreachable("store", "answer", "s3://x")] * 2, 3),
        ([Unreachable("store", "answer", "s3://x")] * 3, None),
        ([InputError("nfe", "be >= 1", 0)], None),
    ],
)
def test_what_the_driver_asks_is_asked_again_only_where_it_may_pass_and_not_for_ever(
    errors: list[Exception], tries: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, asked, said = list(errors), list[int](), list[str]()

    def ask(number: int) -> int:
        asked.append(number)
        if left:
            raise left.pop(0)
        return number

    monkeypatch.setattr(retries, "DELAYS_S", (0, 0))
    if tries is None:
        with pytest.raises(type(errors[0])):
            patiently(said.append, ask, 7)
        assert len(asked) == len(errors)
    else:
        assert patiently(said.append, ask, 7) == 7
        assert asked == [7] * tries
        assert [line.partition(":")[0] for line in said] == ["tried again in 0 s"] * len(errors)
