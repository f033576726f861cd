"""`lsd export`: a sampler as files that need none of our code."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lsd_core.backbones.protocol import AnyBackbone, DenseBackbone, is_dense
from lsd_core.backbones.scores import X0Backbone
from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError
from lsd_core.export.engines import llada2_files, lmdeploy_files
from lsd_core.processes import Uniform
from lsd_core.registry.card_fields import describe
from lsd_core.sampler import LoadedSampler
from lsd_core.samplers.catalog import SAMPLERS, get_sampler
from lsd_core.samplers.confidence import Confidence, Entropy, Margin
from lsd_core.samplers.confidence_drawn import ConfidenceDrawn
from lsd_core.samplers.entropy_bound import EntropyBound
from lsd_core.samplers.full import growth_between
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

SCHEDULERS = {
    name: Path(__file__).with_name(f"{name}.py") for name in ("scheduling_lsd", "scheduling_lsd_uniform")
}
"""Code of the schedulers, for masks and for uniform noise, by the name of their module."""
PIPELINE = Path(__file__).with_name("pipeline_lsd.py")
ORDERS = (UniformOrder, HaltonOrder, Halton2D, FixedOrder)
BOUNDED: dict[type, str] = {EntropyBound: "gamma", Threshold: "tau"}
"""Samplers with a threshold, which a table holds for each step or they themselves under this name."""
ONE_CALL_FULL = ("euler", "tweedie", "tau_leaping")
"""Samplers of uniform noise that the scheduler knows."""
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
    module = "scheduling_lsd_uniform" if is_dense(sampler.backbone) else "scheduling_lsd"
    try:
        scheduler = scheduler_class(module)(**config)
    except ImportError as error:
        remedy = "pip install 'lsd-samplers[export]' -c constraints.txt"
        raise InputError(
            "to", "be a format whose library is installed", "diffusers", f"{error}; {remedy}"
        ) from None
    files = export_json(sampler, folder)
    scheduler.save_pretrained(folder)
    code = folder / SCHEDULERS[module].name
    code.write_text(SCHEDULERS[module].read_text())
    return [folder / "scheduler_config.json", code, *_write_pipeline(folder, code), *files]


def scheduler_class(module: str) -> Any:
    """The scheduler of a module in `SCHEDULERS`; ImportError where diffusers is not installed."""
    if module == "scheduling_lsd":
        from lsd_core.export.scheduling_lsd import LSDScheduler

        return LSDScheduler
    from lsd_core.export.scheduling_lsd_uniform import LSDUniformScheduler

    return LSDUniformScheduler


def _write_pipeline(folder: Path, scheduler: Path) -> list[Path]:
    """What `DiffusionPipeline.from_pretrained` reads: an index, the class, and its scheduler in a folder of its own."""
    component, code = folder / "scheduler", folder / PIPELINE.name
    component.mkdir(exist_ok=True)
    for name in ("scheduler_config.json", scheduler.name):
        (component / name).write_bytes((folder / name).read_bytes())
    code.write_text(PIPELINE.read_text())
    index = {
        "_class_name": [PIPELINE.stem, "LSDPipeline"],
        "scheduler": [scheduler.stem, scheduler_class(scheduler.stem).__name__],
    }
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
        return uniform_config(card, backbone)
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


def uniform_config(card: SamplerCard, backbone: DenseBackbone) -> dict[str, Any]:
    """The configuration of the scheduler for uniform noise, its schedule resolved step by step."""
    process, table = backbone.process, card.table
    if not isinstance(process, Uniform):
        rule = "be absorbing or uniform, to be a scheduler"
        raise InputError("process", rule, process.kind, "--to json takes any sampler")
    if card.sampler not in ONE_CALL_FULL:
        rule = f"be one of {', '.join(ONE_CALL_FULL)} on uniform noise, to be a scheduler"
        raise InputError("sampler", rule, card.sampler, "--to json takes any sampler")
    steps = list(steps_of(table, backbone.length))
    times = torch.tensor([step.t for step in steps], dtype=torch.float64)
    rates = process.noise.rate(times).tolist()
    return {
        "num_tokens": process.num_tokens,
        "network_times": times.tolist(),
        "noise": process.noise.sigma_bar(times).tolist(),
        "removed": [growth_between(process, step.t, step.s) for step in steps],
        "jumps": [rate * (step.t - step.s) for rate, step in zip(rates, steps, strict=True)],
        "gains": list(table.gains),
        "gain_on": table.gain_on,
        "kernel": card.sampler,
        "prediction_type": "x0" if isinstance(backbone, X0Backbone) else "score",
        "length": backbone.length,
    }


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
