"""The mathematics of learned few-step samplers for frozen discrete diffusion models.

`load_sampler` is the entry point for samples; it is imported on first use, since it brings torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lsd_core.sampler import LoadedSampler, load_sampler

__all__ = ["LoadedSampler", "load_sampler"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from lsd_core import sampler

        return getattr(sampler, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
