"""tauLDR's U-Net and its discretised logistic written out from their description, and its checkpoints.

Convolutions are sums over shifted windows, attention and linear maps are einsums, all in float64 on the published
names. Nothing is shared with the package.
"""

import math
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

Tensors = dict[str, Tensor]

SHAPE, STATES, CH, MULTIPLIERS, BLOCKS, ATTENTION_AT, TIME_DIM = (3, 8, 8), 16, 8, [1, 2, 2], 2, 1, 10


def config(**model: Any) -> dict[str, Any]:
    """The YAML beside a checkpoint, here of a small network."""
    return {
        "experiment_name": "cifar10",
        "distributed": True,
        "data": {"name": "DiscreteCIFAR10", "S": STATES, "shape": list(SHAPE), "batch_size": 128},
        "model": {
            "name": "GaussianTargetRateImageX0PredEMA",
            "ema_decay": 0.9999,
            "ch": CH,
            "num_res_blocks": BLOCKS,
            "num_scales": len(MULTIPLIERS),
            "ch_mult": MULTIPLIERS,
            "input_channels": 3,
            "scale_count_to_put_attn": ATTENTION_AT,
            "data_min_max": [0, STATES - 1],
            "dropout": 0.1,
            "skip_rescale": True,
            "time_embed_dim": TIME_DIM,
            "time_scale_factor": 1000,
            "fix_logistic": False,
            "rate_sigma": 6.0,
            "Q_sigma": 512.0,
            "time_exponential": 100.0,
            "time_base": 3.0,
        }
        | model,
    }


def plan(multipliers: list[int] = MULTIPLIERS) -> list[tuple[str, str, int, int]]:
    """(part, kind, channels in, channels out) of every numbered module, in order, as the description has it."""
    modules, now, kept = list[tuple[str, str, int, int]](), CH, [CH]
    for scale, multiplier in enumerate(multipliers):
        for _ in range(BLOCKS):
            modules.append(("downsampling", "residual", now, CH * multiplier))
            now = CH * multiplier
            kept.append(now)
            if scale == ATTENTION_AT:
                modules.append(("downsampling", "attention", now, now))
        if scale < len(multipliers) - 1:
            modules.append(("downsampling", "down", now, now))
            kept.append(now)
    modules += [("middle", kind, now, now) for kind in ("residual", "attention", "residual")]
    for scale in reversed(range(len(multipliers))):
        for _ in range(BLOCKS + 1):
            modules.append(("upsampling", "residual", now + kept.pop(), CH * multipliers[scale]))
            now = CH * multipliers[scale]
            if scale == ATTENTION_AT:
                modules.append(("upsampling", "attention", now, now))
        if scale > 0:
            modules.append(("upsampling", "up", now, now))
    return modules


def random_tensors(dtype: torch.dtype = torch.float64) -> Tensors:
    """Every tensor by its published name within the network, in order, all random."""
    return random_tensors_of(MULTIPLIERS, dtype)


def random_tensors_of(multipliers: list[int], dtype: torch.dtype) -> Tensors:
    """The same of a network with other multipliers."""
    gen, out = torch.Generator().manual_seed(0), Tensors()

    def normal(*shape: int, scale: float, shift: float = 0.0) -> Tensor:
        return shift + scale * torch.randn(*shape, generator=gen, dtype=dtype)

    def linear(name: str, num_out: int, num_in: int, *window: int) -> None:
        fan = num_in * math.prod(window)
        out[f"{name}.weight"] = normal(num_out, num_in, *window, scale=fan**-0.5)
        out[f"{name}.bias"] = normal(num_out, scale=0.1)

    def norm(name: str, channels: int) -> None:
        out[f"{name}.weight"] = normal(channels, scale=0.2, shift=1.0)
        out[f"{name}.bias"] = normal(channels, scale=0.2)

    def nin(name: str, num_in: int, num_out: int) -> None:
        out[f"{name}.W"] = normal(num_in, num_out, scale=num_in**-0.5)
        out[f"{name}.b"] = normal(num_out, scale=0.1)

    linear("temb_modules.0", 4 * TIME_DIM, TIME_DIM)
    linear("temb_modules.1", 4 * TIME_DIM, 4 * TIME_DIM)
    linear("input_conv", CH, SHAPE[0], 3, 3)
    count: dict[str, int] = {}
    for part, kind, num_in, num_out in plan(multipliers):
        index = count[part] = count.get(part, -1) + 1
        name = f"{part}_modules.{index}"
        if kind == "residual":
            norm(f"{name}.groupnorm0", num_in)
            linear(f"{name}.conv0", num_out, num_in, 3, 3)
            linear(f"{name}.dense0", num_out, 4 * TIME_DIM)
            norm(f"{name}.groupnorm1", num_out)
            linear(f"{name}.conv1", num_out, num_out, 3, 3)
            if num_in != num_out:
                nin(f"{name}.nin", num_in, num_out)
        elif kind == "attention":
            norm(f"{name}.GroupNorm_0", num_in)
            for number in range(4):
                nin(f"{name}.NIN_{number}", num_in, num_in)
        else:
            linear(f"{name}.conv", num_out, num_in, 3, 3)
    norm("output_modules.0", CH * multipliers[0])
    linear("output_modules.1", 2 * SHAPE[0], CH * multipliers[0], 3, 3)
    return out


def write(folder: Path, config: dict[str, Any], averages: Tensors, *, devices: int = 2) -> Path:
    """A training checkpoint: raw parameters that differ from their averages, and the YAML beside it."""
    (folder / "config").mkdir(parents=True)
    (folder / "config" / "config_001.yaml").write_text(yaml.dump(config))
    prefix = "net.module." if devices > 1 else "net."
    model: dict[str, Any] = {prefix + name: tensor + 0.5 for name, tensor in averages.items()}
    model |= {"ema_decay": 0.9999, "ema_num_updates": 7, "ema_shadow_params": list(averages.values())}
    file = folder / "checkpoints" / "ckpt_0001999999.pt"
    file.parent.mkdir()
    torch.save({"model": model, "optimizer": {"state": {}, "param_groups": []}, "n_iter": 1999999}, file)
    return file


def network(p: Tensors, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and log-scale (b, c, h, w) for grey levels x (b, c * h * w) at times t (b,)."""
    p = {name: tensor.double() for name, tensor in p.items()}
    grey = 2 * x.double().reshape(-1, *SHAPE) / (STATES - 1) - 1
    time = embedded(p, t)
    h = convolved(p, "input_conv", grey)
    kept = [h]
    count: dict[str, int] = {}
    modules = plan()
    for position, (part, kind, _, _) in enumerate(modules):
        index = count[part] = count.get(part, -1) + 1
        name = f"{part}_modules.{index}"
        if kind == "residual":
            if part == "upsampling":
                h = torch.cat([h, kept.pop()], dim=1)
            h = residual(p, name, h, time)
        elif kind == "attention":
            h = attended(p, name, h)
        elif kind == "down":
            wide = torch.zeros(*h.shape[:2], h.shape[2] + 1, h.shape[3] + 1, dtype=h.dtype)
            wide[..., :-1, :-1] = h
            h = windows(p, f"{name}.conv", wide)[..., ::2, ::2]
        else:
            h = h.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            h = convolved(p, f"{name}.conv", h)
        follows = modules[position + 1][1] if position + 1 < len(modules) else ""
        if part == "downsampling" and not (kind == "residual" and follows == "attention"):
            kept.append(h)
    assert not kept
    out = convolved(p, "output_modules.1", silu(normed(p, "output_modules.0", h)))
    return torch.tanh(grey + out[:, : SHAPE[0]]), out[:, SHAPE[0] :]


def law(p: Tensors, x: Tensor, t: Tensor) -> Tensor:
    """p(x0_i = z | x_t): mass of a logistic in STATES equal bins of [-1, 1], with the released code's 1e-6."""
    mean, log_scale = (value.flatten(1)[..., None] for value in network(p, x, t))
    width = 2 / STATES
    left = -1 + width * torch.arange(STATES, dtype=torch.float64)
    cdf_left, cdf_right = (
        1 / (1 + torch.exp(-(edge - mean) / torch.exp(log_scale - 2))) for edge in (left, left + width)
    )
    weight = cdf_right * (1 - cdf_left / cdf_right + 1e-6)
    return weight / weight.sum(-1, keepdim=True)


def embedded(p: Tensors, t: Tensor) -> Tensor:
    half = TIME_DIM // 2
    speed = torch.tensor([10_000 ** (-k / (half - 1)) for k in range(half)], dtype=torch.float64)
    angle = torch.einsum("b,k->bk", 1000 * t.double(), speed)
    hidden = dense(p, "temb_modules.0", torch.cat([torch.sin(angle), torch.cos(angle)], dim=1))
    return dense(p, "temb_modules.1", silu(hidden))


def residual(p: Tensors, name: str, x: Tensor, time: Tensor) -> Tensor:
    h = convolved(p, f"{name}.conv0", silu(normed(p, f"{name}.groupnorm0", x)))
    h = h + dense(p, f"{name}.dense0", silu(time))[:, :, None, None]
    h = convolved(p, f"{name}.conv1", silu(normed(p, f"{name}.groupnorm1", h)))
    return ((mixed(p, f"{name}.nin", x) if f"{name}.nin.W" in p else x) + h) / 2**0.5


def attended(p: Tensors, name: str, x: Tensor) -> Tensor:
    h = normed(p, f"{name}.GroupNorm_0", x)
    q, k, v = (mixed(p, f"{name}.NIN_{number}", h) for number in range(3))
    weight = torch.einsum("bchw,bcij->bhwij", q, k) / x.shape[1] ** 0.5
    weight = torch.exp(weight - weight.amax(dim=(-1, -2), keepdim=True))
    weight = weight / weight.sum(dim=(-1, -2), keepdim=True)
    out = torch.einsum("bhwij,bcij->bchw", weight, v)
    return (x + mixed(p, f"{name}.NIN_3", out)) / 2**0.5


def normed(p: Tensors, name: str, x: Tensor) -> Tensor:
    groups = x.reshape(len(x), min(x.shape[1] // 4, 32), -1)
    centred = groups - groups.mean(-1, keepdim=True)
    out = (centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-6)).reshape(x.shape)
    return out * p[f"{name}.weight"][:, None, None] + p[f"{name}.bias"][:, None, None]


def convolved(p: Tensors, name: str, x: Tensor) -> Tensor:
    """3 x 3, same size: a border of zeros."""
    wide = torch.zeros(*x.shape[:2], x.shape[2] + 2, x.shape[3] + 2, dtype=x.dtype)
    wide[..., 1:-1, 1:-1] = x
    return windows(p, name, wide)


def windows(p: Tensors, name: str, wide: Tensor) -> Tensor:
    """Sum over the nine shifts of a 3 x 3 window."""
    height, width = wide.shape[2] - 2, wide.shape[3] - 2
    out = p[f"{name}.bias"][:, None, None]
    for i in range(3):
        for j in range(3):
            shifted = wide[:, :, i : i + height, j : j + width]
            out = out + torch.einsum("oc,bchw->bohw", p[f"{name}.weight"][:, :, i, j], shifted)
    return out


def mixed(p: Tensors, name: str, x: Tensor) -> Tensor:
    return torch.einsum("bchw,co->bohw", x, p[f"{name}.W"]) + p[f"{name}.b"][:, None, None]


def dense(p: Tensors, name: str, x: Tensor) -> Tensor:
    return torch.einsum("bi,oi->bo", x, p[f"{name}.weight"]) + p[f"{name}.bias"]


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))
