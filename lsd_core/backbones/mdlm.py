"""MDLM (Sahoo et al. 2024, arXiv 2406.07524): x0 log-probabilities of a transformer conditioned on sigma = 0.

Published as `kuleshov-group/mdlm-owt`: a flat configuration, names under `backbone.`, MASK the last of
`vocab_size` states. Without time conditioning the constant 0 still passes through the sigma map.
"""

from lsd_core.backbones import distilled
from lsd_core.backbones.ddit_backbone import ddit_family, expected
from lsd_core.backbones.family import Published
from lsd_core.backbones.layout import Fields, Layout, transformer_config
from lsd_core.backbones.reading import Reading, normalised_weights
from lsd_core.processes import Absorbing

READING = Reading(kind="absorbing", conditioned_on="zero", normalised=True, log_weights=normalised_weights)
TIMED = Reading(kind="absorbing", conditioned_on="sigma_bar", normalised=True, log_weights=normalised_weights)
SIZES = {
    "length": "model_length",
    "dim": "hidden_dim",
    "num_blocks": "n_blocks",
    "num_heads": "n_heads",
    "cond_dim": "cond_dim",
}


def recognises(fields: Fields, names: set[str]) -> bool:
    """A flat configuration that says so, or one of training."""
    flat = fields.has("hidden_dim") and str(fields.get("model_type", object, "")).lower() == "mdlm"
    return flat or distilled.in_training(fields)


def layout(fields: Fields) -> Layout:
    """Log-linear noise; `time_conditioning` decides what the network is conditioned on."""
    if distilled.in_training(fields):
        return distilled.layout(fields)
    timed = fields.get("time_conditioning", bool)
    process = Absorbing(fields.get("vocab_size", int) - 1).to_dict()
    config = transformer_config(
        fields,
        family="mdlm-timed" if timed else "mdlm",
        process=process,
        names=SIZES,
        body_dtype="bfloat16",
    )
    return Layout(config, prefix="backbone.")


PUBLISHED = Published(name="MDLM", recognises=recognises, layout=layout, expected=expected)
FAMILY = ddit_family("mdlm", READING, published=PUBLISHED)
TIMED_FAMILY = ddit_family("mdlm-timed", TIMED)
