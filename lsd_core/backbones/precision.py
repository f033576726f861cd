"""Half precision on this processor: whether it has kernels for it, what a product costs without, and a warning."""

import logging
import time
from functools import cache

import torch

BODY_DTYPES = ("float32", "float16", "bfloat16")
SLOW = 2.0  # times float32's time from which a type is worth a warning
SIZE = 256


def has_kernels(dtype: torch.dtype) -> bool:
    """Whether oneDNN multiplies matrices of this type on this processor: AVX-512 or AMX, or Arm's own instructions.

    Without them PyTorch takes a product apart, element by element. These are the checks of its own dispatch.
    """
    if not torch.backends.mkldnn.is_available():
        return False
    checks = {
        torch.bfloat16: torch.ops.mkldnn._is_mkldnn_bf16_supported,
        torch.float16: torch.ops.mkldnn._is_mkldnn_fp16_supported,
    }
    return dtype not in checks or bool(checks[dtype]())


@torch.inference_mode()
def product_cost(dtype: torch.dtype) -> float:
    """Time of a matrix product of this type over that of float32, on one thread's clock: best of three."""

    def best(of: torch.dtype) -> float:
        a, taken = torch.ones(SIZE, SIZE, dtype=of), []
        for _ in range(4):  # the first one is not counted
            begin = time.thread_time()
            a @ a
            taken.append(time.thread_time() - begin)
        return min(taken[1:])

    return best(dtype) / best(torch.float32)


@cache
def warn_if_slow(body_dtype: str) -> None:
    """Say once a process what a body in this type costs on this processor, if much, and how to run it in float32."""
    dtype: torch.dtype = getattr(torch, body_dtype)
    if dtype == torch.float32 or has_kernels(dtype):
        return
    cost = product_cost(dtype)
    if cost > SLOW:
        logging.getLogger("lsd").warning(
            "this processor has no %s kernels: a product takes %.0f times as long as in float32. "
            "?body_dtype=float32 after the backbone's name runs it in float32, with a fingerprint of its own",
            body_dtype,
            cost,
        )
