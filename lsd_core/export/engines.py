"""Configurations of other programs' own samplers, where a card's sampler is one of them.

Engines that serve masked diffusion models hold one rule and a number of steps: no counts, gains or thresholds a step.
So a card has a counterpart there where its steps are equal and its gain is one temperature. Nothing is rounded to fit.
"""

from itertools import pairwise
from typing import Any

from lsd_core.backbones.protocol import is_dense
from lsd_core.errors import InputError
from lsd_core.sampler import LoadedSampler

HOTTEST = 2.0
"""The largest temperature that LMDeploy takes."""
NEVER = 2.0
"""A threshold above every probability: quotas alone decide."""
STRATEGIES = {"confidence_drawn": "low_confidence_static", "left_to_right": "sequential"}
"""LMDeploy's name of the rule, by sampler."""
ANY_SAMPLER = "--to json takes any sampler"


def lmdeploy_config(sampler: LoadedSampler) -> dict[str, dict[str, Any]]:
    """Arguments of LMDeploy's `PytorchEngineConfig` and `GenerationConfig` under which it draws as the card does.

    `low_confidence_static` draws a token at every masked position of a block and keeps the likeliest draws, equally
    many a step; `sequential` keeps the leftmost ones. The whole sequence is one block.
    """
    steps, temperature = _equal_steps("lmdeploy", sampler, tuple(STRATEGIES))
    length = sampler.backbone.length
    if length % steps:
        rule = "be divided by the steps, since LMDeploy takes equally many tokens in each"
        raise InputError("length", rule, f"{length} in {steps} steps", ANY_SAMPLER)
    if temperature > HOTTEST:
        raise InputError("gain", f"be at least {1 / HOTTEST} for LMDeploy", 1 / temperature, ANY_SAMPLER)
    engine = {
        "dllm_block_length": length,
        "dllm_unmasking_strategy": STRATEGIES[sampler.card.sampler],
        "dllm_denoising_steps": steps,
    }
    generation = {
        "do_sample": True,
        "temperature": temperature,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "repetition_penalty": 1.0,
        "max_new_tokens": length,
    }
    return {"engine": engine, "generation": generation}


def llada2_config(sampler: LoadedSampler) -> dict[str, dict[str, Any]]:
    """The `BlockRefinementScheduler` of diffusers, and the arguments of `LLaDA2Pipeline` that go with it."""
    steps, temperature = _equal_steps("llada2", sampler, ("confidence_drawn",))
    length, counts = sampler.backbone.length, sampler.card.table.counts or ()
    quotas = [n - m for n, m in pairwise(counts)]
    if quotas != sorted(quotas, reverse=True):
        rule = "take the larger of its steps first, as the scheduler does"
        raise InputError("counts", rule, list(counts), ANY_SAMPLER)
    scheduler = {"block_length": length, "num_inference_steps": steps, "threshold": NEVER}
    call = {
        "gen_length": length,
        "block_length": length,
        "num_inference_steps": steps,
        "temperature": temperature,
        "sampling_method": "multinomial",
        "threshold": NEVER,
        "editing_threshold": None,
        "eos_early_stop": False,
    }
    return {"scheduler": scheduler, "call": call}


def lmdeploy_files(sampler: LoadedSampler) -> dict[str, dict[str, Any]]:
    """`lmdeploy.json`: the arguments of both configurations."""
    return {"lmdeploy.json": lmdeploy_config(sampler)}


def llada2_files(sampler: LoadedSampler) -> dict[str, dict[str, Any]]:
    """`scheduler_config.json` for `BlockRefinementScheduler.from_pretrained`; `call.json` for the pipeline's call."""
    config = llada2_config(sampler)
    named = {"_class_name": "BlockRefinementScheduler"} | config["scheduler"]
    return {"scheduler_config.json": named, "call.json": config["call"]}


def _equal_steps(to: str, sampler: LoadedSampler, known: tuple[str, ...]) -> tuple[int, float]:
    """Number of steps and temperature of a card whose steps are alike; InputError for any other."""
    card, backbone, table = sampler.card, sampler.backbone, sampler.card.table
    if card.sampler not in known:
        rule = f"be {' or '.join(known)}, to have a counterpart in {to}"
        raise InputError("sampler", rule, card.sampler, ANY_SAMPLER)
    if is_dense(backbone) or not backbone.time_free:
        rule = f"need no time, as {to} gives a network none"
        raise InputError("backbone", rule, f"{backbone.name}, which is told it", ANY_SAMPLER)
    assert table.counts is not None  # both samplers step on counts
    quotas = {n - m for n, m in pairwise(table.counts)}
    if max(quotas) - min(quotas) > 1:
        rule = f"fall by equal steps: {to} holds their number alone"
        raise InputError("counts", rule, list(table.counts), ANY_SAMPLER)
    gains = set(table.gains) if table.gain_on == "log_score" else {1.0}
    if len(gains) > 1:
        rule = f"be one for all steps: {to} holds a single temperature"
        raise InputError("gains", rule, list(table.gains), ANY_SAMPLER)
    return table.num_steps, 1 / gains.pop()
