"""SEDD (Lou et al. 2024) on the uniform graph: the logits are the log-scores, 0 written at the current token.

The layout is SEDD's with as many states as tokens, geometric noise and no scaling by sigma. No weights of it
were published; training runs of the released code have it.
"""

from typing import Any

from torch import Tensor

from lsd_core.backbones import sedd
from lsd_core.backbones.ddit import DDiT
from lsd_core.backbones.ddit_backbone import ddit_family, expected
from lsd_core.backbones.family import Published
from lsd_core.backbones.frozen import FrozenNetwork
from lsd_core.backbones.layout import Fields, Layout, transformer_config
from lsd_core.backbones.reading import Reading, call_body, call_head, raw
from lsd_core.errors import InputError
from lsd_core.processes import Process, Uniform

READING = Reading(kind="uniform", conditioned_on="sigma_bar", normalised=False, log_weights=raw)


class SEDDUniform(FrozenNetwork[DDiT]):
    """Scores of every state at every position. Cost: one network call, and the head on all positions."""

    family = "sedd-uniform"

    def __init__(self, name: str, config: dict[str, Any], network: DDiT) -> None:
        super().__init__(name, config, network)
        self.process: Process = Uniform.from_dict(config["process"])

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """p_t(x with token i set to y) / p_t(x), (b, l, V) float64, 1 at y = x_i."""
        given = READING.condition(self.process, t)
        logits = call_head(self.network, call_body(self.network, self.config, x, given))
        return logits.double().exp().scatter(-1, x[..., None], 1.0)


def recognises(fields: Fields, names: set[str]) -> bool:
    """SEDD's configuration with the uniform graph."""
    return sedd.nested(fields, names) and fields.get("graph.type", object, None) == "uniform"


def layout(fields: Fields) -> Layout:
    """The uniform graph; scaling by sigma is for the absorbing one."""
    if fields.get("model.scale_by_sigma", bool):
        raise InputError(f"model.scale_by_sigma in {fields.source}", "be false on the uniform graph", True)
    process = Uniform(fields.get("tokens", int), fields.noise()).to_dict()
    config = transformer_config(
        fields, family="sedd-uniform", process=process, names=sedd.SIZES, body_dtype="bfloat16"
    )
    return Layout(config, task=sedd.trained_on(fields))


PUBLISHED = Published(name="SEDD uniform", recognises=recognises, layout=layout, expected=expected)
FAMILY = ddit_family("sedd-uniform", READING, SEDDUniform, published=PUBLISHED)
