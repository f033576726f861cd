"""SEDD (Lou et al. 2024, arXiv 2310.16834), absorbing: concrete scores of a time-conditioned transformer.

Published as `louaaron/sedd-small` and `-medium`: a nested configuration and the tensors by our own names; a
training run keeps `model` and, positionally, `ema.shadow_params` in checkpoints-meta/checkpoint.pth.
"""

from lsd_core.backbones.ddit_backbone import ddit_family, expected
from lsd_core.backbones.distilled import in_training
from lsd_core.backbones.family import Published
from lsd_core.backbones.layout import Fields, Layout, transformer_config
from lsd_core.backbones.reading import Reading, scaled_weights
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing

READING = Reading(kind="absorbing", conditioned_on="sigma_bar", normalised=False, log_weights=scaled_weights)
SIZES = {
    "length": "model.length",
    "dim": "model.hidden_size",
    "num_blocks": "model.n_blocks",
    "num_heads": "model.n_heads",
    "cond_dim": "model.cond_dim",
}


def recognises(fields: Fields, names: set[str]) -> bool:
    """A nested configuration, and modulated blocks; the uniform graph is `sedd_uniform`'s."""
    return nested(fields, names) and fields.get("graph.type", object, None) != "uniform"


def nested(fields: Fields, names: set[str]) -> bool:
    """Whether a configuration is laid out as SEDD's, on either graph."""
    modulated = any("adaLN_modulation" in name for name in names)
    return fields.has("model.hidden_size") and modulated and not in_training(fields)


def trained_on(fields: Fields) -> str | None:
    """The task that the training data declare."""
    return "openwebtext" if fields.get("data.train", object, None) == "openwebtext" else None


def layout(fields: Fields) -> Layout:
    """The absorbing graph with scaling by sigma_bar, as published."""
    graph = fields.get("graph.type", str)
    if graph != "absorb":
        raise InputError(f"graph.type in {fields.source}", "be absorb", graph)
    if not fields.get("model.scale_by_sigma", bool):
        rule = "be true on the absorbing graph, as published"
        raise InputError(f"model.scale_by_sigma in {fields.source}", rule, False)
    process = Absorbing(fields.get("tokens", int), fields.noise()).to_dict()
    config = transformer_config(fields, family="sedd", process=process, names=SIZES, body_dtype="bfloat16")
    return Layout(config, task=trained_on(fields))


PUBLISHED = Published(name="SEDD", recognises=recognises, layout=layout, expected=expected)
FAMILY = ddit_family("sedd", READING, published=PUBLISHED)
