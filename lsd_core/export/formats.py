"""`lsd export`: a sampler as files that need none of our code."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lsd_core.backbones.protocol import AnyBackbone, is_dense
from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError
from lsd_core.export.engines import llada2_files, lmdeploy_files
from lsd_core.registry.card_fields import describe
from lsd_core.sampler import LoadedSampler
from lsd_core.samplers.catalog import SAMPLERS, get_sampler
from lsd_core.samplers.confidence import Confidence, Entropy, Margin
from lsd_core.samplers.confidence_drawn import ConfidenceDrawn
from lsd_core.samplers.entropy_bound import EntropyBound
from lsd_core.samplers.one_call import Unmasking
from lsd_core.samplers.orders import Order
from lsd_core.samplers.orders.blocks import Blocks
from lsd_core.samplers.orders.fixed import FixedOrder
from lsd_core.samplers.orders.halton import HaltonOrder
from lsd_core.samplers.orders.halton_2d import Halton2D, cell_ranks
from lsd_core.samplers.orders.uniform import UniformOrder
from lsd_core.samplers.protocol import Sampler, names_of
from lsd_core.samplers.step import steps_of
from lsd_core.samplers.threshold import Threshold

SCHEDULER = Path(__file__).with_name("scheduling_lsd.py")
PIPELINE = Path(__file__).with_name("pipeline_lsd.py")
ORDERS = (UniformOrder, HaltonOrder, Halton2D, FixedOrder)
BOUNDED: dict[type, str] = {EntropyBound: "gamma", Threshold: "tau"}
"""Samplers with a threshold, which a table holds for each step or they themselves under this name."""
LOOKING = (Confidence, Margin, Entropy, ConfidenceDrawn, *BOUNDED)
"""Samplers that look at the tokens, and that the scheduler knows by name."""


def export(sampler: LoadedSampler, to: str, folder: Path) -> list[Path]:
    """Write the sampler in a format of `FORMATS` and return the files, the main one first."""
    if to not in FORMATS:
        raise InputError("to", f"be one of {', '.join(FORMATS)}", to)
    if folder.exists() and not folder.is_dir():
        raise InputError("out", "be a folder", str(folder))
    return FORMATS[to](sampler, folder)


def export_json(sampler: LoadedSampler, folder: Path) -> list[Path]:
    """The card as it is, and its description."""
    folder.mkdir(parents=True, exist_ok=True)
    card, page = folder / "card.json", folder / "README.md"
    card.write_text(sampler.card.to_json())
    page.write_text(describe(sampler.card, "card.json"))
    return [card, page]


def export_diffusers(sampler: LoadedSampler, folder: Path) -> list[Path]:
    """A folder for diffusers: the scheduler alone, its configuration beside its class, and a pipeline around it."""
    config = scheduler_config(sampler.card, sampler.backbone)
    try:
        from lsd_core.export.scheduling_lsd import LSDScheduler
    except ImportError as error:
        remedy = "pip install 'lsd-samplers[export]' -c constraints.txt"
        raise InputError(
            "to", "be a format whose library is installed", "diffusers", f"{error}; {remedy}"
        ) from None
    files = export_json(sampler, folder)
    LSDScheduler(**config).save_pretrained(folder)
    code = folder / SCHEDULER.name
    code.write_text(SCHEDULER.read_text())
    return [folder / "scheduler_config.json", code, *_write_pipeline(folder), *files]


def _write_pipeline(folder: Path) -> list[Path]:
    """What `DiffusionPipeline.from_pretrained` reads: an index, the class, and its scheduler in a folder of its own."""
    component, code = folder / "scheduler", folder / PIPELINE.name
    component.mkdir(exist_ok=True)
    for name in ("scheduler_config.json", SCHEDULER.name):
        (component / name).write_bytes((folder / name).read_bytes())
    code.write_text(PIPELINE.read_text())
    index = {"_class_name": [PIPELINE.stem, "LSDPipeline"], "scheduler": [SCHEDULER.stem, "LSDScheduler"]}
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    return [folder / "model_index.json", code]


def exportable(sampler: Sampler) -> bool:
    """Whether the scheduler draws its steps: it knows factorised ones in our orders, and some that look at tokens."""
    order = sampler.order.inside if isinstance(sampler.order, Blocks) else sampler.order
    return type(sampler) in LOOKING or (sampler.factorised and isinstance(order, ORDERS))


def order_config(order: Order, length: int) -> dict[str, Any]:
    """An order of an exportable sampler in the scheduler's configuration."""
    match order:
        case Blocks():
            return order_config(order.inside, length) | {"block": order.block}
        case FixedOrder():
            return {"reveal_order": "fixed", "positions": order.positions(length)}
        case Halton2D():
            side = math.isqrt(length - 1) + 1
            return {"reveal_order": order.name, "positions": list(cell_ranks(side))}
    return {"reveal_order": order.name}


def scheduler_config(card: SamplerCard, backbone: AnyBackbone) -> dict[str, Any]:
    """The configuration of the scheduler: everything about the table is resolved, so it needs no noise schedule."""
    table = card.table
    if is_dense(backbone):
        kind = card.process["kind"]
        raise InputError("process", "be absorbing, to be a scheduler", kind, "--to json takes any sampler")
    method = get_sampler(card.sampler, backbone.process)
    if not exportable(method):
        known = names_of(each for each in SAMPLERS.values() if exportable(each))
        remedy = f"{known} do; --to json takes any sampler"
        raise InputError(
            "sampler", "reveal tokens by one call a step, to be a scheduler", card.sampler, remedy
        )
    steps = list(steps_of(table, backbone.length))
    config: dict[str, Any] = {
        "mask_token_id": backbone.process.mask,
        "network_times": [step.t for step in steps],
        "gains": [step.gain if step.gain_on == "log_score" else 1.0 for step in steps],
        "length": backbone.length,
    }
    if type(method) in LOOKING:
        config |= {"counts": list(table.counts or ()), "reveal_order": method.name}
        if (threshold := BOUNDED.get(type(method))) is not None:
            own = (getattr(method, threshold),) * len(steps)
            config["thresholds"] = list(table.thresholds or own)
        return config
    if table.counts is not None:
        order = method.order.of_table(table.order)
        return config | {"counts": list(table.counts), **order_config(order, backbone.length)}
    assert isinstance(method, Unmasking)
    return config | {"reveal_chances": [method.gained_chance(backbone, step) for step in steps]}


def for_engine(
    files_of: Callable[[LoadedSampler], dict[str, dict[str, Any]]], sampler: LoadedSampler, folder: Path
) -> list[Path]:
    """Configurations of another program by the names of their files, and the card that they were made from."""
    configs = files_of(sampler)
    card = export_json(sampler, folder)
    files = [folder / name for name in configs]
    for file in files:
        file.write_text(json.dumps(configs[file.name], indent=2) + "\n")
    return [*files, *card]


FORMATS: dict[str, Callable[[LoadedSampler, Path], list[Path]]] = {
    "json": export_json,
    "diffusers": export_diffusers,
    "lmdeploy": partial(for_engine, lmdeploy_files),
    "llada2": partial(for_engine, llada2_files),
}
