"""Duo (Sahoo et al. 2025, arXiv 2506.10892): clean tokens from uniform noise, conditioned on sigma = -log alpha.

Published as `s-sahoo/duo`: MDLM's layout without a mask. What its log-softmax means follows from how it is
trained: its reverse step is the forward posterior with the output in place of the clean token,
(alpha V p[y] + 1 - alpha) / (alpha V p[x_i] + 1 - alpha) in concrete scores. Those are the true ones where p is
the distribution of the clean token given the *other* positions. The one given all of them follows by Bayes' rule.
"""

from typing import Any

from torch import Tensor

from lsd_core.backbones import mdlm
from lsd_core.backbones.ddit import DDiT
from lsd_core.backbones.ddit_backbone import ddit_family, expected
from lsd_core.backbones.family import Published
from lsd_core.backbones.frozen import FrozenNetwork
from lsd_core.backbones.layout import Fields, Layout, transformer_config
from lsd_core.backbones.reading import Reading, call_body, call_head, normalised_weights
from lsd_core.backbones.scores import scores_at_times
from lsd_core.errors import InputError
from lsd_core.processes import LogLinear, Process, Uniform

READING = Reading(kind="uniform", conditioned_on="sigma_bar", normalised=True, log_weights=normalised_weights)


class Duo(FrozenNetwork[DDiT]):
    """Distribution of the clean token at every position. Cost: one network call, and the head on all positions."""

    family = "duo"
    normalised = True

    def __init__(self, name: str, config: dict[str, Any], network: DDiT) -> None:
        super().__init__(name, config, network)
        self.process: Process = Uniform.from_dict(config["process"])

    def log_x0_of_others(self, x: Tensor, t: Tensor) -> Tensor:
        """The network's own output, log p(x0_i = z | the other tokens of x), (b, l, V); rows sum to 1."""
        given = READING.condition(self.process, t)
        return call_head(self.network, call_body(self.network, self.config, x, given)).log_softmax(-1)

    def x0_probs(self, x: Tensor, t: Tensor) -> Tensor:
        """p(x0_i = z | x), (b, l, V) float64: the output times the chance alpha [z = x_i] + (1 - alpha) / V."""
        probs = self.log_x0_of_others(x, t).double().exp()
        alpha = self.process.noise.alpha(t.double())[:, None, None]
        own = probs.gather(-1, x[..., None])
        weight = probs * (1 - alpha) / self.process.num_states
        weight = weight.scatter_add(-1, x[..., None], alpha * own)
        return weight / weight.sum(-1, keepdim=True)

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """Concrete scores (b, l, V), float64, 1 at y = x_i."""
        return scores_at_times(self.process, x, self.x0_probs(x, t), t)


def recognises(fields: Fields, names: set[str]) -> bool:
    """A flat configuration that says so."""
    return fields.has("hidden_dim") and str(fields.get("model_type", object, "")).lower() == "duo"


def layout(fields: Fields) -> Layout:
    """All of `vocab_size` are tokens; log-linear noise, alpha = 1 - (1 - 1e-3) t."""
    if fields.get("causal", bool, False):
        raise InputError(f"causal in {fields.source}", "be false for a diffusion model", True)
    if not fields.get("time_conditioning", bool, True):
        raise InputError(f"time_conditioning in {fields.source}", "be true, as published", False)
    process = Uniform(fields.get("vocab_size", int), LogLinear()).to_dict()
    config = transformer_config(
        fields, family="duo", process=process, names=mdlm.SIZES, body_dtype="bfloat16"
    )
    return Layout(config, prefix="backbone.")


PUBLISHED = Published(name="Duo", recognises=recognises, layout=layout, expected=expected)
FAMILY = ddit_family("duo", READING, Duo, published=PUBLISHED)
