"""RADD (Ou et al. 2024, arXiv 2406.03736): x0 log-probabilities of a time-independent network.

Published as `JingyangOu/radd-t-dce` and `radd-lambda-dce`: a nested configuration, no sigma map, no
modulation, LayerNorms with a bias. The first V channels' log-softmax is log p(x0); the last is never read.
"""

from lsd_core.backbones import sedd
from lsd_core.backbones.ddit_backbone import ddit_family, expected
from lsd_core.backbones.distilled import in_training
from lsd_core.backbones.family import Published
from lsd_core.backbones.layout import Fields, Layout, transformer_config
from lsd_core.backbones.precision import BODY_DTYPES
from lsd_core.backbones.reading import Reading, normalised_weights
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing

READING = Reading(kind="absorbing", conditioned_on="nothing", normalised=True, log_weights=normalised_weights)


def recognises(fields: Fields, names: set[str]) -> bool:
    """A nested configuration, and no modulation."""
    plain = not any("adaLN_modulation" in name for name in names)
    return fields.has("model.hidden_size") and plain and not in_training(fields)


def layout(fields: Fields) -> Layout:
    """Sizes as SEDD names them, without the condition; the body in `model.dtype`."""
    graph = fields.get("graph.type", str, "absorb")
    if graph != "absorb":
        raise InputError(f"graph.type in {fields.source}", "be absorb", graph)
    body_dtype = fields.get("model.dtype", str, "bfloat16")
    if body_dtype not in BODY_DTYPES:
        raise InputError(f"model.dtype in {fields.source}", f"be one of {', '.join(BODY_DTYPES)}", body_dtype)
    process = Absorbing(fields.get("tokens", int), fields.noise()).to_dict()
    names = {ours: theirs for ours, theirs in sedd.SIZES.items() if ours != "cond_dim"}
    config = transformer_config(fields, family="radd", process=process, names=names, body_dtype=body_dtype)
    return Layout(config, task=sedd.trained_on(fields))


PUBLISHED = Published(name="RADD", recognises=recognises, layout=layout, expected=expected)
FAMILY = ddit_family("radd", READING, published=PUBLISHED)
