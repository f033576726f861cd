"""Wall and CPU time of a job, and the share spent inside the network: never part of a result."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from lsd_core.backbones.metered import Meter, Metered
from lsd_core.backbones.protocol import AnyBackbone, is_dense

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Seconds of one job, on its worker."""

    began: float
    """When, in seconds of the epoch."""
    wall_s: float
    network_s: float
    """Of those, inside network calls; 0 on processes without a mask, whose networks are not watched."""
    cpu_s: float
    network_cpu_s: float


@dataclass(frozen=True, kw_only=True)
class Done(Generic[Result]):
    """A job's result, and what it took."""

    result: Result
    spent: Spent | None
    """None where there was nothing to do."""


class Stopwatch:
    """Times a worker's jobs and the networks that it watches."""

    def __init__(self) -> None:
        self._meters: list[Meter] = []

    def watch(self, backbone: AnyBackbone) -> AnyBackbone:
        """The same backbone, timed."""
        if is_dense(backbone):
            return backbone
        metered = Metered(backbone)
        self._meters.append(metered.meter)
        return metered

    def time(self, job: Callable[[], Result]) -> Done[Result]:
        """Do the job."""
        began, wall, cpu = time.time(), time.perf_counter(), time.thread_time()
        network, network_cpu = self._network()
        result = job()
        now, now_cpu = self._network()
        return Done(
            result=result,
            spent=Spent(
                began=began,
                wall_s=time.perf_counter() - wall,
                network_s=now - network,
                cpu_s=time.thread_time() - cpu,
                network_cpu_s=now_cpu - network_cpu,
            ),
        )

    def _network(self) -> tuple[float, float]:
        return sum(meter.wall_s for meter in self._meters), sum(meter.cpu_s for meter in self._meters)
