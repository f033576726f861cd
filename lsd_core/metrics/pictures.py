"""Token sequences as colour images, the input of image metrics."""

from dataclasses import dataclass

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError


@dataclass(frozen=True)
class Canvas:
    """How the tokens of a backbone lie in a picture, channel by channel."""

    channels: int
    """3 (colour) or 1 (grey)."""
    height: int
    width: int
    top: int
    """The level that is shown as 255; 0 is 0."""

    @staticmethod
    def of(backbone: AnyBackbone) -> "Canvas":
        """What a backbone draws on; InputError for one that draws no pictures."""
        shape, side = backbone.config.get("shape"), round(backbone.length**0.5)
        if shape is None and (backbone.family != "pixel_mlp" or side * side != backbone.length):
            raise InputError(f"backbone {backbone.name}", "draw pictures for this metric", backbone.family)
        channels, height, width = shape or (1, side, side)
        return Canvas(channels, height, width, top=backbone.process.num_tokens - 1)


def pictures(tokens: Int[Tensor, "n l"], canvas: Canvas) -> UInt8[Tensor, "n 3 h w"]:
    """Colour images; grey ones have three equal colours."""
    levels = (tokens.double() * 255 / canvas.top).round().to(torch.uint8)
    return levels.view(-1, canvas.channels, canvas.height, canvas.width).expand(-1, 3, -1, -1)
