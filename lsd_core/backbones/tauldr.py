"""tauLDR's images (Campbell et al. 2022, arXiv 2205.14987): grey levels as a CTMC, from a discretised logistic.

Published for CIFAR-10 as a training checkpoint, `model`, `optimizer` and `n_iter` beside a YAML file: names
under `net.`, with `.module.` where several devices trained it, and averages by position in
`ema_shadow_params`. Of 2c output channels the first c move the mean, tanh(x + h), and the rest are log-scales.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lsd_core.backbones.family import Family, Published
from lsd_core.backbones.frozen import FrozenNetwork
from lsd_core.backbones.layout import Fields, Layout
from lsd_core.backbones.scores import scores_at_times
from lsd_core.backbones.unet import UNet
from lsd_core.errors import InputError
from lsd_core.processes import Exponential, Gaussian, Process
from lsd_core.storage.tensorfile import check_tensors

NETWORK = ("channels", "multipliers", "num_res_blocks", "attention_at", "time_dim", "time_scale")
CONFIG_KEYS = {"family", "process", "length", "shape", *NETWORK}
FLOOR = 1e-6  # of the released code: a bin keeps this share of what lies left of its right edge
SCALE_SHIFT = 2.0  # likewise: the network's log-scale is 2 above the logistic's


class TauLDR(FrozenNetwork[UNet]):
    """Distributions of the clean grey levels. `length` is c * h * w, channel by channel. Cost: one network call."""

    family = "tauldr"
    normalised = True

    def __init__(self, name: str, config: dict[str, Any], network: UNet) -> None:
        super().__init__(name, config, network)
        self.process: Process = Gaussian.from_dict(config["process"])

    def features(self, x: Tensor, t: Tensor) -> Tensor:
        """Mean and log-scale of every grey level's logistic, (b, l, 2); grey levels become -1 ... 1."""
        grey = x.to(self.network.input_conv.weight.dtype) / (self.process.num_states - 1) * 2 - 1
        image = grey.view(len(x), *self.config["shape"])
        moved, log_scale = self.network(image, t).flatten(2).chunk(2, dim=1)
        mean = torch.tanh(grey.view(moved.shape) + moved)
        return torch.stack([mean.flatten(1), log_scale.flatten(1)], dim=-1)

    def head(self, rows: Tensor) -> Tensor:
        """Log-probabilities (r, S) of the clean grey level: the logistic's mass in S equal bins of [-1, 1]."""
        mean, log_scale = rows[:, :1], rows[:, 1:]
        edges = torch.linspace(-1, 1, self.process.num_states + 1, dtype=rows.dtype, device=rows.device)
        log_cdf = F.logsigmoid((edges - mean) * torch.exp(SCALE_SHIFT - log_scale))
        left, right = log_cdf[:, :-1], log_cdf[:, 1:]
        return (right + torch.log1p(FLOOR - torch.exp(left - right))).log_softmax(-1)

    def x0_probs(self, x: Tensor, t: Tensor) -> Tensor:
        """p(x0_i = z | x_t), (b, l, S) float64."""
        rows = self.head(self.features(x, t).flatten(0, 1).double())
        return rows.exp().view(*x.shape, -1)

    def score(self, x: Tensor, t: Tensor) -> Tensor:
        """Concrete scores (b, l, S), float64, 1 at y = x_i."""
        return scores_at_times(self.process, x, self.x0_probs(x, t), t)


def empty_network(config: dict[str, Any]) -> UNet:
    """Its names and shapes alone: no memory, no random numbers."""
    if set(config) != CONFIG_KEYS:
        raise InputError("backbone config", f"have exactly the keys {sorted(CONFIG_KEYS)}", sorted(config))
    with torch.device("meta"):
        return UNet(image_channels=config["shape"][0], **{key: config[key] for key in NETWORK})


def build(name: str, config: dict[str, Any], tensors: dict[str, Tensor]) -> TauLDR:
    """The backbone with these tensors; a wrong layout names the first missing and unexpected keys."""
    network = empty_network(config)
    check_tensors("a tauldr network", tensors, network.state_dict())
    network.load_state_dict(tensors, assign=True)
    return TauLDR(name, config, network)


def recognises(fields: Fields, names: set[str]) -> bool:
    """The image model's own fields."""
    return fields.has("model.Q_sigma") and fields.has("model.ch_mult")


def layout(fields: Fields) -> Layout:
    """Its process and its U-Net; only the published arrangement is known."""
    for path, wanted in (("skip_rescale", True), ("fix_logistic", False)):
        if fields.get(f"model.{path}", bool) is not wanted:
            rule = f"be {str(wanted).lower()}, as published"
            raise InputError(f"model.{path} in {fields.source}", rule, not wanted)
    shape, states = fields.numbers("data.shape", 3), fields.get("data.S", int)
    ends = fields.get("model.data_min_max", list)
    if ends != [0, states - 1]:
        raise InputError(f"model.data_min_max in {fields.source}", f"be [0, {states - 1}]", ends)
    noise = Exponential(fields.get("model.time_base", float), fields.get("model.time_exponential", float))
    rate_sigma, prior_sigma = (fields.get(f"model.{name}", float) for name in ("rate_sigma", "Q_sigma"))
    multipliers = fields.numbers("model.ch_mult", fields.get("model.num_scales", int))
    halvings = 2 ** (len(multipliers) - 1)
    if any(side % halvings for side in shape[1:]):
        raise InputError(f"data.shape in {fields.source}", f"have sides that {halvings} divides", shape)
    return Layout(
        {
            "family": "tauldr",
            "process": Gaussian(states, noise, rate_sigma, prior_sigma).to_dict(),
            "length": math.prod(shape),
            "shape": shape,
            "channels": fields.get("model.ch", int),
            "multipliers": multipliers,
            "num_res_blocks": fields.get("model.num_res_blocks", int),
            "attention_at": int(fields.get("model.scale_count_to_put_attn", float)),
            "time_dim": fields.get("model.time_embed_dim", int),
            "time_scale": fields.get("model.time_scale_factor", float),
        },
        prefix="net.",
        task="cifar10" if fields.get("data.name", object, None) == "DiscreteCIFAR10" else None,
    )


PUBLISHED = Published(
    name="tauLDR",
    recognises=recognises,
    layout=layout,
    expected=lambda config: empty_network(config).state_dict(),
)
FAMILY = Family(name=TauLDR.family, build=build, published=PUBLISHED)
