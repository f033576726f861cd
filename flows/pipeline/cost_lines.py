"""A plan's cost as lines for a terminal and as a JSON record."""

from dataclasses import asdict
from typing import Any

from flows.pipeline.costs import PlanCost


def cost_record(cost: PlanCost) -> dict[str, Any]:
    """Everything, as JSON."""
    record = asdict(cost) | {"hours": cost.hours}
    record["hours_of_eight"] = cost.hours_of(8)
    record["teachers"] = [asdict(t) | {"calls": t.calls, "hours": t.hours} for t in cost.teachers]
    record["memory"] = {name: asdict(held) | {"total": held.total} for name, held in cost.memory.items()}
    return record


def cost_lines(cost: PlanCost) -> list[str]:
    """A few lines for a terminal."""
    lines = [
        f"{cost.grid}: {cost.cells:,} cells, {cost.candidates:,} candidates, {cost.computed:,} computed once each"
    ]
    for name, held in cost.memory.items():
        lines.append(
            f"a worker holds {size(held.total)} of {name}: weights {size(held.weights)}, "
            f"a call of {held.batch} sequences {size(held.call)}"
            + (f", freed blocks between them {size(held.freed)}" if held.freed else "")
            + (f", of LSD's teacher at most {size(held.targets)}" if held.targets else "")
        )
    for teacher in cost.teachers:
        lines.append(
            f"teacher {teacher.backbone}: {teacher.shards:,} shards, {teacher.trajectories:,} trajectories, "
            f"at most {size(teacher.bytes)}, {teacher.calls:,} network calls of {teacher.batch} sequences: "
            f"{duration(teacher.hours)} of one worker"
        )
        speed = "" if teacher.rate is None else f"at {teacher.rate:.4g} sequences a second: "
        lines.append(f"    {speed}{teacher.source}")
    lines.append(
        f"measurements and certificates: at most {cost.measured_calls:,} network calls, "
        f"{cost.measured_sequences:,} sequences: {duration(cost.measured_hours)} of one worker"
    )
    lines.append(
        f"in all {duration(cost.hours)} of one worker with its GPU or core, {duration(cost.hours_of(8))} of eight, "
        "and what the methods need to learn"
    )
    return lines


def size(count: float) -> str:
    """Bytes with a unit: 3.3 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration(hours: float | None) -> str:
    """Hours, or minutes or seconds where they are few."""
    if hours is None:
        return "unknown hours"
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{hours * 60:.1f} min" if hours >= 1 / 60 else f"{hours * 3600:.1f} s"
