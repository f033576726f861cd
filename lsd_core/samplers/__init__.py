"""Base samplers: one file per method, each a deterministic kernel and a draw, and the loop that counts calls."""

from lsd_core.samplers.catalog import (
    SAMPLERS,
    calls_per_step,
    get_sampler,
    kernel_key,
    num_steps,
    place_of,
    sampler_names,
    steps_in_counts,
)
from lsd_core.samplers.loop import Samples, default_batch, generate
from lsd_core.samplers.table import StepTable, cosine_times, counts_from_times, uniform_times

__all__ = [
    "SAMPLERS",
    "Samples",
    "StepTable",
    "calls_per_step",
    "cosine_times",
    "counts_from_times",
    "default_batch",
    "generate",
    "get_sampler",
    "kernel_key",
    "num_steps",
    "place_of",
    "sampler_names",
    "steps_in_counts",
    "uniform_times",
]
