"""Initialise a network from another backbone's weights, also a time-conditioned one from a time-free one."""

import torch
from torch import Tensor

from lsd_core.backbones.ddit import DDiT
from lsd_core.backbones.ddit_backbone import DDiTBackbone
from lsd_core.errors import InputError
from lsd_core.storage.tensorfile import check_tensors

BIASES = {"norm1.bias": 0, "norm2.bias": 3, "norm_final.bias": 0}  # the shift that takes a bias's place
GATES = (2, 5)  # chunks of a block's modulation that gate attention and MLP


@torch.no_grad()
def start_from(network: DDiT, init: DDiTBackbone) -> None:
    """Give `network` the weights of `init`, whose tokens and sizes must be its own.

    A time-free network becomes a time-conditioned one that computes the same: LayerNorm's biases turn into the
    shifts of the modulation, gates are 1, and no time changes anything yet.
    """
    tensors, expected = init.tensors(), network.state_dict()
    if init.family == "radd" and network.sigma_map is not None:
        tensors = conditioned(tensors, expected)
    check_tensors(f"a network to start from ({init.name})", tensors, expected)
    network.load_state_dict(tensors)


def conditioned(tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    """A time-free network's tensors under the names of a time-conditioned one."""
    out = {key: value.clone() for key, value in expected.items() if "adaLN" in key or "sigma_map" in key}
    for key in out:
        if "adaLN" in key:
            out[key].zero_()
    for key, value in tensors.items():
        place = next((name for name in BIASES if key.endswith(name)), None)
        if place is None:
            out[key] = value
            continue
        bias = out[f"{key.removesuffix(place)}adaLN_modulation.bias"]
        if len(value) * (2 if place == "norm_final.bias" else 6) != len(bias):
            raise InputError(f"tensor {key}", "be as wide as the network that starts from it", len(value))
        bias.view(-1, len(value))[BIASES[place]] = value
    for key, bias in out.items():
        if key.startswith("blocks") and key.endswith("adaLN_modulation.bias"):
            bias.view(6, -1)[list(GATES)] = 1.0
    return out
