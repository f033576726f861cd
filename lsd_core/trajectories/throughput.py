"""Measured rates of trajectory generation, kept on the store for the cost estimates of later plans.

A rate belongs to a backbone, a method and a kind of hardware. It is a measurement for people, no part of any
shard, table or card: those hold no clock time.
"""

import re
from dataclasses import dataclass

from lsd_core.errors import InputError
from lsd_core.storage.store import Store
from lsd_core.trajectories.spec import TeacherSpec


@dataclass(frozen=True, kw_only=True)
class Rate:
    """Trajectories a worker made, and the seconds it worked on them."""

    device_kind: str
    trajectories: int
    seconds: float

    @property
    def per_s(self) -> float:
        """Trajectories a second and worker."""
        return self.trajectories / self.seconds


def record_rate(store: Store, spec: TeacherSpec, rate: Rate) -> None:
    """Keep a run's rate; a later run on the same hardware replaces it."""
    store.write_json(
        f"{_folder(spec)}/{re.sub(r'[^A-Za-z0-9]+', '-', rate.device_kind)}.json",
        {
            "device_kind": rate.device_kind,
            "trajectories": rate.trajectories,
            "seconds": round(rate.seconds, 3),
        },
    )


def read_rates(store: Store, spec: TeacherSpec) -> list[Rate]:
    """What was measured of this teacher, one rate for each kind of hardware; of any seed and shard size."""
    rates = []
    for key in store.list(_folder(spec)):
        try:
            rates.append(Rate(**store.read_json(key)))
        except (InputError, TypeError):
            continue  # a rate is a hint: a damaged one is none
    return [rate for rate in rates if rate.trajectories > 0 and rate.seconds > 0]


def _folder(spec: TeacherSpec) -> str:
    steps = "exact" if spec.steps is None else spec.steps
    return f"rates/{spec.backbone_fingerprint}/{spec.method}-{steps}-batch{spec.batch}"
