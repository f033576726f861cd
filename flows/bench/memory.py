"""Benchmark `memory`: peak memory of a step over that of a forward pass."""

import re
from collections.abc import Callable
from pathlib import Path

import torch

from flows.bench.cases import Case, forward, runner
from flows.bench.figures import Figure, Setting
from flows.bench.shapes import network_of
from flows.bench.timing import Spread

TITLE = "peak memory of a whole step over that of a bare forward pass, weights included"
UNIT = "forward pass's peak"
MOST = 1.15


def ask(setting: Setting) -> list[Figure]:
    """Ordinary and last steps of both families; nothing where the system does not tell its peaks."""
    figures = []
    for family in ("sedd", "radd"):
        backbone = network_of(setting, family)
        bare = [peak_bytes(forward(backbone, setting), setting.device) for _ in range(setting.rounds)]
        for case in (Case(masked=0.3), Case(masked=0.3, rest=True), Case(masked=1.0, rest=True)):
            step = runner(backbone, case, setting)
            peaks = [peak_bytes(step, setting.device) for _ in range(setting.rounds)]
            unit = Spread.of(bare).median
            spread = Spread.of([peak / unit for peak in peaks])
            figures.append(Figure.of("memory", f"{family}, {case.name}", spread, UNIT, at_most=MOST))
    return figures


@torch.inference_mode()
def peak_bytes(thunk: Callable[[], object], device: str) -> float:
    """Most memory in use while it runs, after a first run: of the accelerator, or of this process (Linux)."""
    del_me = thunk()
    del del_me
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        thunk()
        torch.cuda.synchronize()
        return float(torch.cuda.max_memory_allocated())
    before = forget_peak()
    thunk()
    return float(max(peak_so_far(), before))


def forget_peak() -> int:
    """Bytes of memory that this process has now, from which its peak is counted anew (Linux)."""
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # peak := now
    return before


def peak_so_far() -> int:
    """Most bytes of memory that this process has had at once."""
    return _status("VmHWM")


def _status(field: str) -> int:
    text = Path("/proc/self/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return 1024 * int(found[1])
