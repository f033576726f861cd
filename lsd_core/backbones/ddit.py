"""The diffusion transformer shared by the SEDD, RADD and MDLM families.

Peebles & Xie 2023 (adaLN-zero), in the arrangement of SEDD (Lou et al. 2024, code release): pre-norm
blocks, rotary positions on queries and keys, tanh-GELU. Parameter names are those of the published
checkpoints, so a state dict loads without renaming. With ``cond_dim=None`` there is no modulation at
all and LayerNorms carry a bias: RADD's time-free network (Ou et al. 2024). With ``num_positions`` a
learned embedding of the position is added to the token's, which the published networks do not have:
rotary angles say how far apart two tokens are, and which row and column of a board a token is in
depends on where it stands.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SINUSOID_DIM = 256  # width of the sinusoid that embeds sigma_bar


class LayerNorm(nn.Module):
    """LayerNorm over the last axis, computed in float32 (float64 if the input is) and cast back."""

    def __init__(self, dim: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x.to(self.weight.dtype), self.weight.shape, self.weight, self.bias)


class Rotary(nn.Module):
    """Rotary position embedding, half-split, base 1e4 (Su et al. 2021)."""

    inv_freq: Tensor

    def __init__(self, head_dim: int, base: float = 1e4) -> None:
        super().__init__()
        exponent = torch.arange(0, head_dim, 2).float() / head_dim
        self.register_buffer("inv_freq", base**-exponent)

    def forward(self, length: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosine and sine tables, each (length, head_dim)."""
        angle = torch.outer(
            torch.arange(length, device=self.inv_freq.device, dtype=self.inv_freq.dtype), self.inv_freq
        )
        angle = torch.cat([angle, angle], dim=-1)
        return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate the last axis of x (..., length, head_dim) by its position's angles."""
    left, right = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-right, left], dim=-1) * sin


class TimeEmbedding(nn.Module):
    """Sinusoid of sigma_bar (cosines, then sines) through a two-layer SiLU network."""

    def __init__(self, cond_dim: int) -> None:
        super().__init__()
        first, last = nn.Linear(SINUSOID_DIM, cond_dim), nn.Linear(cond_dim, cond_dim)
        self.mlp = nn.Sequential(first, nn.SiLU(), last)

    def forward(self, sigma_bar: Tensor) -> Tensor:
        half = SINUSOID_DIM // 2
        dtype = next(self.parameters()).dtype
        ladder = torch.arange(half, device=sigma_bar.device, dtype=dtype)
        freqs = torch.exp(-math.log(10_000.0) * ladder / half)
        angle = sigma_bar.to(dtype)[:, None] * freqs
        return F.silu(self.mlp(torch.cat([angle.cos(), angle.sin()], dim=-1)))


class Block(nn.Module):
    """Pre-norm attention and MLP; with a condition, each is shifted, scaled and gated by it."""

    def __init__(self, dim: int, num_heads: int, cond_dim: int | None, mlp_ratio: int = 4) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm1 = LayerNorm(dim, bias=cond_dim is None)
        self.attn_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.attn_out = nn.Linear(dim, dim, bias=False)
        self.norm2 = LayerNorm(dim, bias=cond_dim is None)
        self.mlp = nn.Sequential(
            nn.Linear(dim, mlp_ratio * dim), nn.GELU(approximate="tanh"), nn.Linear(mlp_ratio * dim, dim)
        )
        self.adaLN_modulation = None if cond_dim is None else zeroed(nn.Linear(cond_dim, 6 * dim))

    def forward(self, x: Tensor, rotary: tuple[Tensor, Tensor], cond: Tensor | None) -> Tensor:
        if self.adaLN_modulation is None or cond is None:
            x = x + self.attend(self.norm1(x), rotary)
            return x + self.mlp(self.norm2(x))
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(cond)[:, None].chunk(6, dim=-1)
        x = x + gate1 * self.attend(modulate(self.norm1(x), shift1, scale1), rotary)
        return x + gate2 * self.mlp(modulate(self.norm2(x), shift2, scale2))

    def attend(self, x: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        b, length, dim = x.shape
        qkv = self.attn_qkv(x).view(b, length, 3, self.num_heads, dim // self.num_heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (b, heads, length, head_dim)
        out = F.scaled_dot_product_attention(rotate(q, *rotary), rotate(k, *rotary), v)
        return self.attn_out(out.transpose(1, 2).reshape(b, length, dim))


class OutputLayer(nn.Module):
    """Final norm, modulation and the vocabulary-sized projection."""

    def __init__(self, dim: int, num_out: int, cond_dim: int | None) -> None:
        super().__init__()
        self.norm_final = LayerNorm(dim, bias=cond_dim is None)
        self.linear = zeroed(nn.Linear(dim, num_out))
        self.adaLN_modulation = None if cond_dim is None else zeroed(nn.Linear(cond_dim, 2 * dim))

    def normed(self, x: Tensor, cond: Tensor | None) -> Tensor:
        """What the projection reads: everything before it, so that it can run on chosen rows only."""
        x = self.norm_final(x)
        if self.adaLN_modulation is None or cond is None:
            return x
        shift, scale = self.adaLN_modulation(cond)[:, None].chunk(2, dim=-1)
        return modulate(x, shift, scale)


class Vocabulary(nn.Module):
    """Embedding of tokens (or positions) with the published parameter name."""

    def __init__(self, num_states: int, dim: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(num_states, dim))
        nn.init.kaiming_uniform_(self.embedding, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        return F.embedding(x, self.embedding)


class DDiT(nn.Module):
    """Tokens (b, l) -> features (b, l, dim) -> logits (rows, num_out); see the module docstring."""

    def __init__(
        self,
        *,
        num_states: int,
        dim: int,
        num_blocks: int,
        num_heads: int,
        cond_dim: int | None,
        num_out: int | None = None,
        num_positions: int | None = None,
    ) -> None:
        super().__init__()
        self.vocab_embed = Vocabulary(num_states, dim)
        self.position_embed = None if num_positions is None else Vocabulary(num_positions, dim)
        self.sigma_map = None if cond_dim is None else TimeEmbedding(cond_dim)
        self.rotary_emb = Rotary(dim // num_heads)
        self.blocks = nn.ModuleList(Block(dim, num_heads, cond_dim) for _ in range(num_blocks))
        self.output_layer = OutputLayer(dim, num_states if num_out is None else num_out, cond_dim)

    def condition(self, sigma_bar: Tensor | None) -> Tensor | None:
        """The embedding of sigma_bar (b,) that modulates every block, (b, cond_dim); None without one."""
        return None if self.sigma_map is None or sigma_bar is None else self.sigma_map(sigma_bar)

    def features(self, x: Tensor, sigma_bar: Tensor | None) -> Tensor:
        """Everything up to the vocabulary projection, (b, l, dim); sigma_bar is (b,) or None."""
        return self.body(x, self.condition(sigma_bar))

    def body(self, x: Tensor, cond: Tensor | None) -> Tensor:
        """The same from an embedded condition."""
        h = self.vocab_embed(x)
        if self.position_embed is not None:
            h = h + self.position_embed.embedding[: x.shape[1]]
        rotary = self.rotary_emb(x.shape[1], h.dtype)
        for block in self.blocks:
            h = block(h, rotary, cond)
        return self.output_layer.normed(h, cond)

    def head(self, features: Tensor) -> Tensor:
        """Vocabulary projection of any rows (..., dim) -> (..., num_out)."""
        return self.output_layer.linear(features)

    def forward(self, x: Tensor, sigma_bar: Tensor | None) -> Tensor:
        return self.head(self.features(x, sigma_bar))


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return x * (1 + scale) + shift


def zeroed(linear: nn.Linear) -> nn.Linear:
    """A projection that starts at zero, so that a block begins as the identity."""
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear
