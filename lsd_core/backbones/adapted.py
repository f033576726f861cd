"""Any network that predicts the clean tokens of a masked input, as an absorbing backbone.

A masked language model, LLaDA or Dream is a callable from tokens to logits; what it lacks is a process. Its
MASK may be any of its tokens; here MASK is a state after all tokens, so tokens keep the model's own numbers.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, SupportsIndex

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lsd_core.backbones.fingerprint import fingerprint
from lsd_core.errors import InputError
from lsd_core.processes import Absorbing

Predict = Callable[[Tensor], Tensor]  # tokens (b, l), MASK where unknown -> x0 logits (b, l, v)
IMPOSSIBLE = -1e4  # its exponential is 0 in float64, and 0 times it is 0


class AdaptedBackbone:
    """`predict` behind the common protocol: time-free, normalised over all tokens that may be written.

    Cost of `features`: one call of `predict`; the head is a log-softmax of chosen rows. It lives in the process
    that made it: its network is somebody's code, so it is neither stored nor sent to workers.
    """

    family = "adapted"
    time_free = True
    normalised = True

    def __init__(
        self,
        predict: Predict,
        *,
        name: str,
        length: int,
        num_tokens: int,
        mask: int,
        tensors: Mapping[str, Tensor],
        never: Iterable[int] = (),
        config: Mapping[str, Any] | None = None,
    ) -> None:
        """Adapt a network.

        Parameters
        ----------
        predict: tokens (b, l) with `mask` where unknown -> logits of the clean token, (b, l, num_tokens or more).
        name: what the backbone is called.
        length: positions a sequence.
        num_tokens: tokens that the logits tell apart; what lies beyond them is cut off.
        mask: the model's own MASK token.
        tensors: the weights, such as `model.state_dict()`: with `config` they are the backbone's identity.
        never: tokens that are not to be written, padding for instance; `mask` is one of them.
        config: whatever else changes the output, as plain data.
        """
        never = tuple(never)
        for field, value in (("mask", mask), ("length", length), ("num_tokens", num_tokens)):
            if not isinstance(value, SupportsIndex):
                raise InputError(field, "be an integer", value)
        if length < 1:
            raise InputError("length", "be >= 1", length)
        self.forbidden = sorted({mask, *never})
        for token in self.forbidden:
            if not 0 <= token < num_tokens:
                raise InputError("mask" if token == mask else "never", f"lie in 0..{num_tokens - 1}", token)
        self.name, self.length, self.process = name, length, Absorbing(num_tokens)
        self.predict, self.mask, self._tensors = predict, mask, dict(tensors)
        self.config: dict[str, Any] = {
            **(config or {}),
            "family": self.family,
            "process": self.process.to_dict(),
            "length": length,
            "mask": mask,
            "never": self.forbidden,
        }

    @torch.inference_mode()
    def features(self, x: Int[Tensor, "b l"], t: Float[Tensor, " b"]) -> Float[Tensor, "b l v"]:
        """Logits at every position, forbidden tokens impossible; t is not looked at."""
        num_tokens = self.process.num_tokens
        logits = self.predict(torch.where(x == self.process.mask, self.mask, x))
        if logits.ndim != 3 or logits.shape[:2] != x.shape or logits.shape[2] < num_tokens:
            rule = f"return logits of shape {(*x.shape, num_tokens)}"
            raise InputError(f"predict of {self.name}", rule, tuple(logits.shape))
        logits = logits[..., :num_tokens].clone()
        logits[..., self.forbidden] = IMPOSSIBLE
        return logits

    def head(self, rows: Float[Tensor, "r v"]) -> Float[Tensor, "r v"]:
        """Log-probabilities of the clean token, in float32 or better."""
        return (rows if rows.dtype == torch.float64 else rows.float()).log_softmax(-1)

    def tensors(self) -> dict[str, Tensor]:
        return self._tensors

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint(self._tensors, self.config)
