"""The U-Net of tauLDR's images (Campbell et al. 2022), after DDPM++ (Song et al. 2021), with its published names.

Residual blocks and attention are averaged with their input as (x + h) / sqrt 2. Time is scaled, embedded as
sines then cosines with frequencies 1e4^(-k / (half - 1)), and passes through two layers.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class NetworkInNetwork(nn.Module):
    """A linear map of the channels: W is (in, out)."""

    def __init__(self, num_in: int, num_out: int) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.zeros(num_in, num_out))
        self.b = nn.Parameter(torch.zeros(num_out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bihw,io->bohw", x, self.W) + self.b[:, None, None]


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(channels // 4, 32), channels, eps=1e-6)


class Attention(nn.Module):
    """Attention of all pixels to all, one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.GroupNorm_0 = group_norm(channels)
        for index in range(4):  # query, key, value, output
            self.add_module(f"NIN_{index}", NetworkInNetwork(channels, channels))

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        normed = self.GroupNorm_0(x)
        q, k, v = (
            self.get_submodule(f"NIN_{index}")(normed).flatten(2).transpose(1, 2) for index in range(3)
        )
        out = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        out = self.get_submodule("NIN_3")(out.transpose(1, 2).reshape(x.shape))
        return (x + out) / math.sqrt(2)


class Residual(nn.Module):
    """Two convolutions, the embedded time added between them."""

    def __init__(self, num_in: int, num_out: int, time_dim: int) -> None:
        super().__init__()
        self.groupnorm0 = group_norm(num_in)
        self.conv0 = nn.Conv2d(num_in, num_out, 3, padding=1)
        self.dense0 = nn.Linear(time_dim, num_out)
        self.groupnorm1 = group_norm(num_out)
        self.conv1 = nn.Conv2d(num_out, num_out, 3, padding=1)
        if num_in != num_out:
            self.nin = NetworkInNetwork(num_in, num_out)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv0(F.silu(self.groupnorm0(x))) + self.dense0(F.silu(time))[:, :, None, None]
        h = self.conv1(F.silu(self.groupnorm1(h)))
        return ((self.nin(x) if hasattr(self, "nin") else x) + h) / math.sqrt(2)


class Down(nn.Module):
    """Half the resolution; the padding is on the right and below."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    """Twice the resolution: nearest neighbours, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class UNet(nn.Module):
    """Images (b, c, h, w) in [-1, 1] at times (b,) -> (b, 2c, h, w), means' residuals and log-scales.

    Attention follows the residual blocks of scale `attention_at`, counted from the finest, and the middle.
    """

    def __init__(
        self,
        *,
        image_channels: int,
        channels: int,
        multipliers: list[int],
        num_res_blocks: int,
        attention_at: int,
        time_dim: int,
        time_scale: float,
    ) -> None:
        super().__init__()
        self.time_dim, self.time_scale, self.num_res_blocks = time_dim, time_scale, num_res_blocks
        wide = 4 * time_dim
        self.temb_modules = nn.ModuleList([nn.Linear(time_dim, wide), nn.Linear(wide, wide)])
        self.input_conv = nn.Conv2d(image_channels, channels, 3, padding=1)
        now, kept, down, up = channels, [channels], list[nn.Module](), list[nn.Module]()
        last = len(multipliers) - 1
        for scale, multiplier in enumerate(multipliers):
            for _ in range(num_res_blocks):
                down.append(Residual(now, channels * multiplier, wide))
                now = channels * multiplier
                kept.append(now)
                if scale == attention_at:
                    down.append(Attention(now))
            if scale != last:
                down.append(Down(now))
                kept.append(now)
        self.downsampling_modules = nn.ModuleList(down)
        self.middle_modules = nn.ModuleList(
            [Residual(now, now, wide), Attention(now), Residual(now, now, wide)]
        )
        for scale, multiplier in reversed(list(enumerate(multipliers))):
            for _ in range(num_res_blocks + 1):
                up.append(Residual(now + kept.pop(), channels * multiplier, wide))
                now = channels * multiplier
                if scale == attention_at:
                    up.append(Attention(now))
            if scale != 0:
                up.append(Up(now))
        self.upsampling_modules = nn.ModuleList(up)
        self.output_modules = nn.ModuleList(
            [group_norm(now), nn.Conv2d(now, 2 * image_channels, 3, padding=1)]
        )

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        time = self.embed(t)
        h = self.input_conv(x)
        kept = [h]
        for module in self.downsampling_modules:
            h = module(h, time)
            if isinstance(module, Attention):
                kept[-1] = h  # what crosses over is what attention made of the block before it
            else:
                kept.append(h)
        for module in self.middle_modules:
            h = module(h, time)
        for module in self.upsampling_modules:
            h = module(torch.cat([h, kept.pop()], dim=1) if isinstance(module, Residual) else h, time)
        return self.output_modules[1](F.silu(self.output_modules[0](h)))

    def embed(self, t: Tensor) -> Tensor:
        """Sines, then cosines, of the scaled time; two layers with SiLU between."""
        dtype, half = self.input_conv.weight.dtype, self.time_dim // 2
        ladder = torch.arange(half, device=t.device, dtype=dtype)
        angle = (t * self.time_scale).to(dtype)[:, None] * torch.exp(-math.log(1e4) * ladder / (half - 1))
        waves = F.pad(torch.cat([angle.sin(), angle.cos()], dim=1), (0, self.time_dim % 2))
        return self.temb_modules[1](F.silu(self.temb_modules[0](waves)))
