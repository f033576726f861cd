"""`lsd train`: a small backbone of our own, with progress, a checkpoint and a record of how it was made."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from flows.pipeline.grid_template import write_grid
from lsd_core.backbones import storage
from lsd_core.backbones.address import LONGEST
from lsd_core.backbones.ddit_backbone import DDiTBackbone
from lsd_core.backbones.device import device_kind, known_device
from lsd_core.backbones.pixels import PixelBackbone
from lsd_core.errors import InputError
from lsd_core.metrics.judges.digits_judge import NAME as DIGITS_JUDGE
from lsd_core.metrics.judges.text_judge import NAME as TEXT_JUDGE
from lsd_core.metrics.likelihood import any_order_nll
from lsd_core.numerics.names import BACKBONE
from lsd_core.processes import Absorbing
from lsd_core.training.config import TrainConfig
from lsd_core.training.digits_judge import ClassifierConfig, train_classifier
from lsd_core.training.loop import Report, train
from lsd_core.training.pixels import train_pixels
from lsd_core.training.sources import Source, find_source
from lsd_core.training.text_judge import JudgeConfig, train_judge

JUDGES = (TEXT_JUDGE, DIGITS_JUDGE)
Trained = DDiTBackbone | PixelBackbone


def default_path(name: str, family: str, length: int) -> Path:
    """Default path of the weights; its stem is the backbone's name."""
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name.removesuffix(".gz")).stem).strip(".-") or "backbone"
    return Path(f"{stem[:LONGEST]}-{family}-{length}.safetensors")


def _check_out(path: Path, name: str) -> None:
    """Raise InputError, before any work, where the weights cannot go: the file is called as the backbone is."""
    BACKBONE.check("out", path.stem)
    if not path.absolute().parent.is_dir():
        raise InputError("out", "lie in a folder that exists", str(path), f"mkdir -p {path.parent}")
    for file in (path, path.with_suffix(".checkpoint"), path.with_suffix(".partial")):
        if file.is_dir() or (file.exists() and Path(name).exists() and file.samefile(name)):
            raise InputError("out", "be another file than the one that is learned from", str(path))
    if path.suffix != ".safetensors":  # a checkpoint of that name would be removed at the end
        raise InputError("out", "end in .safetensors", str(path))


def train_backbone(
    name: str,
    path: Path | None,
    console: Console,
    *,
    length: int | None = None,
    split: str = "characters",
    column: str | None = None,
    init: Path | None = None,
    device: str = "cpu",
    family: str | None = None,
    **settings: Any,
) -> Trained:
    """Train on the task or the file of that name and write the weights to `path`; settings of None are defaults."""
    on = known_device(device)
    source = find_source(name, length, split, column)
    family = family or next(iter(source.processes))
    process = source.process(family)
    given = {key: value for key, value in settings.items() if value is not None}
    path = path or default_path(name, family, source.length)
    _check_out(path, name)
    start = None if init is None else storage.load_file(init)
    config = TrainConfig(family=family, **{**source.settings, **_settings_of(start), **given})
    if start is not None and not (isinstance(start, DDiTBackbone) and isinstance(process, Absorbing)):
        raise InputError("init", "hold a sedd or radd network, for one of these families", str(init))
    if source.remark:
        console.print(source.remark)
    checkpoint = path.with_suffix(".checkpoint")
    shared: dict[str, Any] = {
        "name": path.stem,
        "checkpoint": checkpoint,
        "device": on,
        "labels": source.labels,
        "identity": {**source.identity, "init": None if start is None else start.fingerprint},
    }
    trained: Trained
    with _progress(console, f"train {family}", config.steps, "nats a sequence") as report:
        if isinstance(process, Absorbing):
            trained = train(config, process, source.length, source.draw, init=start, report=report, **shared)
        else:
            trained = train_pixels(config, process, source.length, source.draw, report=report, **shared)
    notes = {
        "task": source.labels.get("task", name),
        "train": config.to_dict(),
        "torch": torch.__version__,
        "device": device_kind(on),
        **shared["identity"],
    }
    if source.held_out is not None and isinstance(trained, DDiTBackbone):
        notes["held_out_nats"] = _held_out(trained, source, console)
    path.write_bytes(storage.to_bytes(trained, notes))
    checkpoint.unlink(missing_ok=True)
    console.print(f"wrote {path} ({path.stat().st_size / 1e6:.2f} MB)")
    if source.grid is not None:
        console.print(f"Next: lsd grid {source.grid} --backbones {path}")
    else:
        console.print(f"Next: lsd grid {write_grid(path, trained.length)}")
    return trained


def _settings_of(start: Any) -> dict[str, Any]:
    """What a network has to share with the one that it starts from, where nothing else is asked for."""
    if not isinstance(start, DDiTBackbone):
        return {}
    return {"position_embedding": start.config.get("position_embedding", False)}


def train_named_judge(
    name: str, path: Path | None, console: Console, *, steps: int | None, seed: int
) -> None:
    """Train the judge of that name and write it to `path`."""
    given = {"seed": seed} if steps is None else {"seed": seed, "steps": steps}
    path = path or Path(f"{name}.safetensors")
    _check_out(path, name)
    if name == TEXT_JUDGE:
        config, checkpoint = JudgeConfig(**given), path.with_suffix(".checkpoint")
        with _progress(console, "train judge", config.steps, "nats a held-out character") as report:
            text_judge, notes = train_judge(config, report=report, checkpoint=checkpoint)
        file, remark = text_judge.to_file(notes), f"{notes['held_out_nats']:.3f} nats a held-out character"
        path.write_bytes(file.to_bytes())
        checkpoint.unlink(missing_ok=True)
    else:
        seen = ClassifierConfig(**given)
        with _progress(console, "train judge", seen.steps, "of other images right") as report:
            digits_judge, notes = train_classifier(seen, report=report)
        remark = f"{100 * notes['accuracy_on_other_images']:.1f}% of images it has not seen are named rightly"
        path.write_bytes(digits_judge.to_file(notes).to_bytes())
    console.print(f"wrote {path}: {remark}")


def _held_out(trained: DDiTBackbone, source: Source, console: Console) -> float:
    """Mean nats of the sequences that were kept aside, said beside as many that were learned from."""
    assert source.held_out is not None
    seen = source.draw(0, torch.arange(len(source.held_out)))
    held_out, learned = (
        float(any_order_nll(trained, tokens, seed=0).mean()) for tokens in (source.held_out, seen)
    )
    console.print(f"held-out sequences: {held_out:.2f} nats each; those learned from: {learned:.2f}")
    return held_out


@contextmanager
def _progress(console: Console, title: str, steps: int, unit: str) -> Iterator[Report]:
    """A bar, advanced by calls of (steps done, nats)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"steps, {{task.fields[nats]:.3f}} {unit}, left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task(title, total=steps, nats=float("nan"))
        yield lambda step, nats: bars.update(bar, completed=step, nats=nats)
