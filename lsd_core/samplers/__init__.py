"""Base samplers: one file per method, each a deterministic law and a draw, and the loop that counts calls."""

from lsd_core.samplers.catalog import SAMPLERS, get_sampler, law_key, num_steps
from lsd_core.samplers.generate import Samples, default_batch, generate
from lsd_core.samplers.table import StepTable, cosine_times, counts_from_times, uniform_times

__all__ = [
    "SAMPLERS",
    "Samples",
    "StepTable",
    "cosine_times",
    "counts_from_times",
    "default_batch",
    "generate",
    "get_sampler",
    "law_key",
    "num_steps",
    "uniform_times",
]
