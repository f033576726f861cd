"""Opening Ray: a local one by default, or joining a cluster; closed by the code that opened it."""

import logging
import math
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import ray

from lsd_core.errors import InputError
from lsd_core.numerics.machine import cores
from lsd_core.storage.home import given
from workers.messages import Message, listening

# One torch thread per worker: the cores are shared by workers, and results do not depend on the thread count.
# Secrets never go here: a runtime env is stored and shown by the cluster. Workers read their own environment.
WORKER_ENV = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
LOCAL_ENV = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the coming default; without it, a warning
    "RAY_worker_niceness": "0",  # Ray's 15 gives a worker a thirtieth of a core that another program uses
}
OBJECT_STORE_BYTES = 256 * 2**20  # items and results are small: data goes through the store
LOCAL = "local"
ANSWER_S = 5
JOIN = "check that the cluster runs there and, if it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
LONGEST_TEMP_DIR = 36  # a socket's path has 107 bytes, of which Ray's session takes 70


def ray_address(address: str | None = None) -> str:
    """`address` if given, else LSD_RAY_ADDRESS, else RAY_ADDRESS, else "local"."""
    return address or (given("ray_address") or (LOCAL,))[0]


def check_address(address: str) -> None:
    """Raise InputError for an address that is none of a cluster, or that nothing answers within seconds.

    Ray itself tries for minutes without a word.
    """
    if address in (LOCAL, "auto"):
        return
    rule = "be HOST:PORT, ray://HOST:PORT or local"
    if address.startswith(("http://", "https://")):
        remedy = "that is a dashboard, for `lsd submit --address`; join at HOST:6379 or ray://HOST:10001"
        raise InputError("ray_address", rule, address, remedy)
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise InputError("ray_address", rule, address)
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except (OSError, UnicodeError) as error:
        shown = f"{address} ({error})"
        raise InputError("ray_address", "be a Ray cluster that answers", shown, JOIN) from None


@contextmanager
def ray_session(
    address: str | None = None, *, num_cpus: int | None = None, hear: Callable[[Message], None] | None = None
) -> Iterator[str]:
    """Ray for the length of the block; yields the address in use.

    What workers `send` goes to `hear`, one message at a time, from a thread; without it, it is dropped.

    A session that is already open is used and left open. "local" starts a private Ray without dashboard,
    never found by others, whose workers run at this process's priority; anything else joins that cluster, where
    `num_cpus` does not apply.
    """
    where, mine = ray_address(address), not ray.is_initialized()
    short = _short_temp_dir(where) if mine else {}
    if mine:
        _start(_options(where, num_cpus) | short)
    try:
        with listening(hear) if hear is not None else nullcontext():
            yield where
    finally:
        if mine:
            ray.shutdown()
        for folder in short.values():
            shutil.rmtree(str(folder), ignore_errors=True)


def _options(where: str, num_cpus: int | None) -> dict[str, object]:
    """What `ray.init` is asked for."""
    for name, value in LOCAL_ENV.items():
        os.environ.setdefault(name, value)
    options: dict[str, object] = {
        "address": where,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "runtime_env": {"env_vars": WORKER_ENV},
    }
    if where == LOCAL:
        options |= {
            "num_cpus": num_cpus or cores(),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE_BYTES,
        }
    return options


def _short_temp_dir(where: str) -> dict[str, object]:
    """A folder for a private Ray's sockets, where the usual one has too long a name: a socket's path has an end."""
    usual = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"
    if where != LOCAL or len(os.fsencode(usual)) <= LONGEST_TEMP_DIR:
        return {}
    try:
        return {"_temp_dir": tempfile.mkdtemp(prefix="lsd-ray-", dir="/tmp")}
    except OSError as error:
        remedy = f"set RAY_TMPDIR to a folder whose path has at most {LONGEST_TEMP_DIR} characters"
        raise InputError(
            "TMPDIR", "be short enough for Ray's sockets", usual, f"{remedy} ({error})"
        ) from None


def _start(options: dict[str, object], tries: int = 3) -> None:
    """`ray.init`, again where a busy machine did not have the node up within Ray's fixed 30 s.

    Ray puts a handler of its own in place of the caller's, which would take a cancelled flow from Prefect.
    """
    for attempt in range(1, tries + 1):
        try:
            with _own_sigterm():
                ray.init(**options)
            return
        except ConnectionError as error:
            address = str(options["address"])
            raise InputError("ray_address", "be a Ray cluster that lets us in", address, JOIN) from error
        except Exception as error:  # Ray raises a bare Exception for it
            ray.shutdown()
            if "timed out during startup" not in str(error) or attempt == tries:
                raise


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Whoever handles SIGTERM before the block does so after it. Only the main thread can say who does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if handler is not None:
            signal.signal(signal.SIGTERM, handler)


def workers_for(num_items: int, *, num_cpus: float = 1, num_gpus: float = 0) -> int:
    """How many workers are worth starting: no more than items, nor than fit on the cluster as it is now."""
    have = ray.cluster_resources()
    fit = [have.get("CPU", 0) / num_cpus if num_cpus else math.inf]
    fit += [have.get("GPU", 0) / num_gpus] if num_gpus else []
    room = min(fit)
    return max(1, num_items if math.isinf(room) else min(num_items, math.floor(room)))
