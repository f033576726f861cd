"""The diffusion transformer of SEDD, RADD, MDLM and Duo written out from its description, and its checkpoints.

Nothing here is shared with the package: tensors are named and shaped as the published files name and shape
them, and the forward pass is float64 arithmetic on those names.
"""

import math
from typing import Any

import torch
from torch import Tensor

Tensors = dict[str, Tensor]


def random_tensors(
    *,
    states: int,
    dim: int,
    blocks: int,
    heads: int,
    cond: int | None,
    biased_norms: bool = False,
    prefix: str = "",
    dtype: torch.dtype = torch.float64,
) -> Tensors:
    """Every tensor of a published file, in its order, all of them random: gates and heads too."""
    gen = torch.Generator().manual_seed(0)

    def normal(*shape: int, scale: float, shift: float = 0.0) -> Tensor:
        return shift + scale * torch.randn(*shape, generator=gen, dtype=dtype)

    out: Tensors = {}

    def linear(name: str, num_out: int, num_in: int, bias: bool = True) -> None:
        out[f"{name}.weight"] = normal(num_out, num_in, scale=num_in**-0.5)
        if bias:
            out[f"{name}.bias"] = normal(num_out, scale=0.1)

    def norm(name: str) -> None:
        out[f"{name}.weight"] = normal(dim, scale=0.2, shift=1.0)
        if biased_norms:
            out[f"{name}.bias"] = normal(dim, scale=0.2)

    out["vocab_embed.embedding"] = normal(states, dim, scale=1.0)
    if cond is not None:
        linear("sigma_map.mlp.0", cond, 256)
        linear("sigma_map.mlp.2", cond, cond)
    pair = torch.arange(0, dim // heads, 2, dtype=dtype)
    out["rotary_emb.inv_freq"] = 1 / 10_000 ** (pair * heads / dim)
    for i in range(blocks):
        norm(f"blocks.{i}.norm1")
        linear(f"blocks.{i}.attn_qkv", 3 * dim, dim, bias=False)
        linear(f"blocks.{i}.attn_out", dim, dim, bias=False)
        norm(f"blocks.{i}.norm2")
        linear(f"blocks.{i}.mlp.0", 4 * dim, dim)
        linear(f"blocks.{i}.mlp.2", dim, 4 * dim)
        if cond is not None:
            linear(f"blocks.{i}.adaLN_modulation", 6 * dim, cond)
    norm("output_layer.norm_final")
    linear("output_layer.linear", states, dim)
    if cond is not None:
        linear("output_layer.adaLN_modulation", 2 * dim, cond)
    return {prefix + name: tensor for name, tensor in out.items()}


def logits(p: Tensors, x: Tensor, sigma: Tensor | None, heads: int) -> Tensor:
    """Output of the last projection (b, l, states) for tokens x (b, l), told sigma (b,) or nothing."""
    p = {name: tensor.double() for name, tensor in p.items()}
    cond = None if sigma is None else embed_sigma(p, sigma)
    h = p["vocab_embed.embedding"][x]
    blocks = 1 + max(int(name.split(".")[1]) for name in p if name.startswith("blocks."))
    for i in range(blocks):
        block = f"blocks.{i}"
        chunks: Any = [None] * 6
        if cond is not None:
            chunks = affine(p, f"{block}.adaLN_modulation", cond)[:, None, :].chunk(6, dim=-1)
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = chunks
        inner = attention(p, block, modulated(normed(p, f"{block}.norm1", h), shift, scale), heads)
        h = h + (inner if gate is None else gate * inner)
        inner = affine(p, f"{block}.mlp.0", modulated(normed(p, f"{block}.norm2", h), shift_mlp, scale_mlp))
        inner = affine(p, f"{block}.mlp.2", gelu_tanh(inner))
        h = h + (inner if gate_mlp is None else gate_mlp * inner)
    shift, scale = None, None
    if cond is not None:
        shift, scale = affine(p, "output_layer.adaLN_modulation", cond)[:, None, :].chunk(2, dim=-1)
    return affine(p, "output_layer.linear", modulated(normed(p, "output_layer.norm_final", h), shift, scale))


def embed_sigma(p: Tensors, sigma: Tensor) -> Tensor:
    """Sinusoid of width 256, cosines first, two layers with SiLU between, SiLU after."""
    freq = torch.tensor([10_000 ** (-k / 128) for k in range(128)], dtype=torch.float64)
    angle = torch.einsum("b,f->bf", sigma.double(), freq)
    hidden = affine(p, "sigma_map.mlp.0", torch.cat([torch.cos(angle), torch.sin(angle)], dim=1))
    out = affine(p, "sigma_map.mlp.2", hidden / (1 + torch.exp(-hidden)))
    return out / (1 + torch.exp(-out))


def attention(p: Tensors, block: str, x: Tensor, heads: int) -> Tensor:
    """Full attention with rotary positions on queries and keys; qkv are ordered (3, head, channel)."""
    b, length, dim = x.shape
    width = dim // heads
    q, k, v = affine(p, f"{block}.attn_qkv", x).reshape(b, length, 3, heads, width).unbind(2)
    weight = torch.einsum("bqhd,bkhd->bhqk", rotated(q), rotated(k)) / math.sqrt(width)
    weight = torch.exp(weight - weight.amax(-1, keepdim=True))
    weight = weight / weight.sum(-1, keepdim=True)
    out = torch.einsum("bhqk,bkhd->bqhd", weight, v).reshape(b, length, dim)
    return affine(p, f"{block}.attn_out", out)


def rotated(x: Tensor) -> Tensor:
    """Channel j is paired with channel j + d/2 and turned by position * 1e4^(-2j/d); x is (b, l, h, d)."""
    half = x.shape[-1] // 2
    speed = torch.tensor([10_000 ** (-j / half) for j in range(half)], dtype=torch.float64)
    angle = torch.einsum("l,j->lj", torch.arange(x.shape[1], dtype=torch.float64), speed)[None, :, None, :]
    first, second = x[..., :half], x[..., half:]
    cos, sin = torch.cos(angle), torch.sin(angle)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def normed(p: Tensors, name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    out = centred / torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-5) * p[f"{name}.weight"]
    return out + p[f"{name}.bias"] if f"{name}.bias" in p else out


def modulated(x: Tensor, shift: Tensor | None, scale: Tensor | None) -> Tensor:
    return x if shift is None or scale is None else x * (1 + scale) + shift


def gelu_tanh(x: Tensor) -> Tensor:
    return x / 2 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def affine(p: Tensors, name: str, x: Tensor) -> Tensor:
    out = torch.einsum("...i,oi->...o", x, p[f"{name}.weight"])
    return out + p[f"{name}.bias"] if f"{name}.bias" in p else out
