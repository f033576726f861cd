"""`lsd train`: a small backbone of our own, with progress, a checkpoint and a record of how it was made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor

from lsd_core.backbones import storage
from lsd_core.backbones.ddit_backbone import DDiTBackbone
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing
from lsd_core.tasks import countdown
from lsd_core.training.config import TrainConfig
from lsd_core.training.loop import train

DATA: dict[str, tuple[int, Callable[[int, Tensor, int], Tensor]]] = {
    "countdown": (countdown.NUM_VALUES, countdown.draw_sequences)
}


def train_backbone(
    name: str, path: Path, console: Console, *, length: int, init: Path | None, **settings: Any
) -> DDiTBackbone:
    """Train on the data of that name and write the weights to `path`."""
    if name not in DATA:
        raise InputError("name", f"be one of {sorted(DATA)}", name)
    if length < 2:
        raise InputError("length", "be >= 2", length)
    config = TrainConfig(**settings)
    num_tokens, draw = DATA[name]
    start = None if init is None else storage.load_file(init)
    if start is not None and not isinstance(start, DDiTBackbone):
        raise InputError("init", "hold a sedd or radd network", str(init))
    checkpoint = path.with_suffix(".checkpoint")
    columns = (
        TextColumn("train {task.fields[family]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps, {task.fields[nats]:.3f} nats a sequence, left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task("train", total=config.steps, family=config.family, nats=float("nan"))
        trained = train(
            config,
            Absorbing(num_tokens),
            length,
            lambda seed, index: draw(seed, index, length),
            name=path.stem,
            checkpoint=checkpoint,
            init=start,
            report=lambda step, nats: bars.update(bar, completed=step, nats=nats),
        )
    notes = {
        "task": name,
        "train": config.to_dict(),
        "init": None if start is None else start.fingerprint,
        "torch": torch.__version__,
    }
    path.write_bytes(storage.to_bytes(trained, notes))
    checkpoint.unlink(missing_ok=True)
    console.print(f"wrote {path} ({path.stat().st_size / 1e6:.2f} MB)", highlight=False)
    return trained
