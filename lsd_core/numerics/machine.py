"""Cores and memory that this process may use: of the host, less what taskset or a container leaves it."""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def cores(cgroup: Path = _CGROUP) -> int:
    """Whole cores, at least one."""
    try:
        mine = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        mine = os.cpu_count() or 1
    quota, period = _pair(cgroup / "cpu.max")
    if quota is None:
        quota, period = _number(cgroup / "cpu/cpu.cfs_quota_us"), _number(cgroup / "cpu/cpu.cfs_period_us")
    return max(1, min(mine, quota // period)) if quota and period else max(1, mine)


def memory_bytes(cgroup: Path = _CGROUP) -> int:
    """Memory in all."""
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = _number(cgroup / "memory.max") or _number(cgroup / "memory/memory.limit_in_bytes")
    return min(have, limit) if limit else have


def _pair(file: Path) -> tuple[int | None, int | None]:
    """`200000 100000`; (None, ...) for `max 100000` or no such file."""
    try:
        first, second = file.read_text().split()
        return int(first), int(second)
    except (OSError, ValueError):
        return None, None


def _number(file: Path) -> int | None:
    """A positive number; None for `max`, -1 or no such file."""
    try:
        value = int(file.read_text())
    except (OSError, ValueError):
        return None
    return value if value > 0 else None
