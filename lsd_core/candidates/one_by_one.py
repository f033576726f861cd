"""The network's own sampler along an order, one token a call: its scores, and its distance from the uniform order.

A reference beside the candidates of that order, as a teacher's own sequences are beside what learns from them: it has
no card and holds no alias. It is stored once for each backbone, order, task and seed, whatever the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lsd_core.backbones.device import computing_on, device_kind, device_of
from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.candidates.columns import encode
from lsd_core.candidates.measurement import Measurement
from lsd_core.candidates.reading import read_measurement, scores_key
from lsd_core.candidates.spec import CandidateSpec
from lsd_core.cards import plain
from lsd_core.numerics.canonical import derive_seed, digest
from lsd_core.paths.masked_model import MaskedModel
from lsd_core.paths.order_gap import OrderGap, order_gap
from lsd_core.paths.sampler_paths import named
from lsd_core.processes import process_from_dict
from lsd_core.samplers.catalog import SAMPLERS, get_sampler
from lsd_core.samplers.orders import UNIFORM
from lsd_core.samplers.protocol import learnable
from lsd_core.samplers.state import Draws
from lsd_core.storage.sealed import read_sealed, write_sealed
from lsd_core.storage.store import Store
from lsd_core.tasks.evaluate import evaluate_tokens

VERSION = 1  # moves when its results would
IN_UNIFORM_ORDER = "fixed_counts"


@dataclass(frozen=True, kw_only=True)
class OneByOne:
    """What one token a call along an order came to."""

    order: str
    samples: int
    measurement: Measurement
    gap: OrderGap | None
    """None for the uniform order itself."""


def order_of(spec: CandidateSpec) -> str | None:
    """The base sampler in whose order a candidate unmasks, or `uniform`.

    None where there is no such order before a table is known, or none at all: a learned order, adaptive samplers,
    processes without a mask. And none where tokens are given: the rows are of the network with nothing given.
    """
    if spec.evaluation.conditions is not None:
        return None
    sampler = get_sampler(spec.sampler, process_from_dict(dict(spec.process)))
    if "absorbing" not in sampler.processes or spec.process["kind"] != "absorbing":
        return None
    if not learnable(sampler) or sampler.order.learned:
        return None
    return UNIFORM.name if sampler.order.exchangeable else sampler.name


def folder_of(spec: CandidateSpec, order: str) -> str:
    """Where the results for an order lie; the same for all candidates that unmask along it."""
    record = {
        "backbone": spec.backbone.fingerprint,
        "process": dict(spec.process),
        "order": order,
        "components": {} if order == UNIFORM.name else SAMPLERS.recorded(order),
        "task": spec.evaluation.task,
        "seed": spec.seed,
        "version": VERSION,
    }
    return f"cells/one-by-one-{digest(record)[:16]}"


def result_key(spec: CandidateSpec, order: str, samples: int) -> str:
    return f"{folder_of(spec, order)}/{samples}.json"


def measure_one_by_one(spec: CandidateSpec, order: str, samples: int, backbone: AnyBackbone) -> OneByOne:
    """Draw, judge and compare. Cost: l calls a sample, and 6 l more for the gap; computed where the backbone lies."""
    masked, device = absorbing(backbone, "one token a call"), device_of(backbone)
    seed = derive_seed("one by one", spec.seed)

    def model(sampler: str) -> MaskedModel:
        return MaskedModel(backbone=masked, method=named(sampler, masked), batch=spec.evaluation.batch)

    with computing_on(device):
        uniform = model(IN_UNIFORM_ORDER)
        along = uniform if order == UNIFORM.name else model(order)
        with torch.inference_mode():
            paths, drawn = along.one_at_a_time(Draws(seed, torch.arange(samples)))
        gap = None if along is uniform else order_gap(along, uniform, paths, seed)
    assert paths.x_end is not None
    scores = evaluate_tokens(spec.evaluation.task, paths.x_end.long().cpu(), backbone, seed)
    calls = drawn // samples
    measurement = Measurement(
        metrics=dict(scores.metrics),
        calls_mean=float(calls),
        calls_max=calls,
        scores=scores.primary,
        device_kind="" if device.type == "cpu" else device_kind(device),
    )
    return OneByOne(order=order, samples=samples, measurement=measurement, gap=gap)


def write_one_by_one(store: Store, spec: CandidateSpec, result: OneByOne) -> None:
    """The record last, as for every measurement."""
    measured = result.measurement
    key = result_key(spec, result.order, result.samples)
    store.memory.forget(key)
    store.write_bytes(scores_key(key), encode({"score": measured.scores}))
    record: dict[str, Any] = {
        "order": result.order,
        "calls_mean": measured.calls_mean,
        "calls_max": measured.calls_max,
        "metrics": measured.metrics,
    }
    gap = {} if result.gap is None else {"order_gap": result.gap.to_dict()}
    drawn_on = {"device_kind": measured.device_kind} if measured.device_kind else {}
    write_sealed(store, key, plain(record | gap | drawn_on))


def read_one_by_one(store: Store, spec: CandidateSpec, order: str) -> OneByOne | None:
    """The result with the most samples; None on a store that has none."""
    names = [key.rsplit("/", 1)[1] for key in store.list(folder_of(spec, order))]
    sizes = [int(name.removesuffix(".json")) for name in names if name.removesuffix(".json").isdecimal()]
    if not sizes:
        return None
    key = result_key(spec, order, max(sizes))
    measurement, record = read_measurement(store, key), read_sealed(store, key)
    gap = record.get("order_gap")
    return OneByOne(
        order=order,
        samples=max(sizes),
        measurement=measurement,
        gap=None if gap is None else OrderGap.from_dict(gap),
    )


def orders_among(specs: Sequence[CandidateSpec]) -> dict[str, CandidateSpec]:
    """The orders of these candidates of one backbone, each with one of them; none where all are uniform."""
    found = dict[str, CandidateSpec]()
    for spec in specs:
        if (order := order_of(spec)) is not None:
            found.setdefault(order, spec)
    return found if set(found) - {UNIFORM.name} else {}
