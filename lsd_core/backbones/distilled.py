"""MDLM networks under the configuration of their training: how SDTT and DiDi-Instruct publish distilled weights.

SDTT (Deschenaux & Gulcehre 2024, arXiv 2410.21035), `jdeschena/sdtt` with a revision for each round: the whole module
of training, so names stand under `backbone.`, twice where the teacher was MDLM's from the hub. DiDi-Instruct (Zheng et
al. 2025, arXiv 2509.25035), `haoyangzheng/didi-instruct-small`: the network's own names. Both are read as MDLM is.
"""

from typing import Any

from lsd_core.backbones.layout import Fields, Layout, transformer_config
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing

SIZES = {
    "length": "model.length",
    "dim": "model.hidden_size",
    "num_blocks": "model.n_blocks",
    "num_heads": "model.n_heads",
    "cond_dim": "model.cond_dim",
}
PREFIXES = ("backbone.backbone.", "backbone.", "")
STATES = {"gpt2": 50258}
"""Tokens of a tokenizer, and MASK after them."""


def in_training(fields: Fields) -> bool:
    """Whether a configuration is one of training in MDLM's family: sizes as SEDD's, and what is trained beside them."""
    trained = fields.has("parameterization.name") or fields.has("algo.parameterization")
    return fields.has("model.hidden_size") and trained


def layout(fields: Fields) -> Layout:
    """Log-linear noise; `time_conditioning` decides what the network is conditioned on."""
    _check(fields)
    timed = fields.get("algo.time_conditioning", bool, fields.get("time_conditioning", bool, False))
    config = transformer_config(
        fields,
        family="mdlm-timed" if timed else "mdlm",
        process=Absorbing(_states(fields) - 1).to_dict(),
        names=SIZES,
        body_dtype="bfloat16",
    )
    task = "openwebtext" if str(fields.get("data.train", object, "")).startswith("openwebtext") else None
    return Layout(config, prefixes=PREFIXES, task=task)


def _check(fields: Fields) -> None:
    """Refuse what the same configurations can also describe."""
    only: dict[str, Any] = {
        "algo.parameterization": "subs",
        "algo.causal_attention": False,
        "parameterization.name": "multi-round-sdtt",
    }
    for path, known in only.items():
        found = fields.get(path, object, known)
        if found != known:
            raise InputError(f"{path} in {fields.source}", f"be {str(known).lower()}", found)
    if fields.get("is_di4c", bool, False):
        remedy = "load the SDTT network that it was distilled from"
        rule = (
            "be false: Di4C mixes over a latent that is drawn at each call, which no product of tokens states"
        )
        raise InputError(f"is_di4c in {fields.source}", rule, True, remedy)


def _states(fields: Fields) -> int:
    """Tokens and MASK: said, or those of a known tokenizer."""
    if fields.has("vocab_size"):
        return int(fields.get("vocab_size", int))
    name = fields.get("tokenizer.name", str, fields.get("data.tokenizer_name_or_path", str, ""))
    if name not in STATES:
        remedy = "write vocab_size, tokens and MASK, into it"
        raise InputError(f"tokenizer in {fields.source}", f"be {', '.join(STATES)}", name or "none", remedy)
    return STATES[name]
