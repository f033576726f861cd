"""Benchmark `launches`: the operations that steps and costs issue beside their network, and the bytes that they move.

On a GPU each operation is a kernel to launch or more (`nonzero` is five), which is what small steps cost there. Counts
are no times: they are the same in every run, and those of the plain path are the same on every device.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

from flows.bench.cases import Case, runner
from flows.bench.figures import Figure, Setting
from flows.bench.replay import Replay
from flows.bench.shapes import masked_sequences, network_of
from flows.bench.timing import Spread
from lsd_core.backbones.ddit_backbone import DDiTBackbone
from lsd_core.paths.divergence import mean_kl, token_log_probs

TITLE = (
    "operations of steps and costs beside their network, times that they wait for the device, and bytes moved"
)
READ = "_local_scalar_dense"  # a number read by the host; `nonzero` reads its size
PARTIAL = ("index", "gather", "searchsorted", "embedding")  # read as much as they write, of a larger tensor
ALLOCATE = ("empty", "empty_like", "empty_strided", "new_empty")
FUSED = (
    ("lsd_core.numerics.philox_kernel", "philox_uniforms", 2),
    ("lsd_core.samplers.draw_kernel", "draw_rows", 0),
    ("lsd_core.paths.row_kernels", "log_prob_rows", 0),
    ("lsd_core.paths.row_kernels", "kl_rows", 0),
)
"""Launchers of fused kernels, each with the first of its arguments that it reads in full."""
GAIN = 1.3


@dataclass
class Counts:
    """What was issued while it was counted."""

    names: list[str] = field(default_factory=list)
    waits: int = 0
    num_bytes: int = 0

    @property
    def operations(self) -> int:
        return len(self.names)


def ask(setting: Setting) -> list[Figure]:
    """Ordinary and last steps, the price of a state's tokens, and a gain tried."""
    backbone, figures = network_of(setting, "sedd"), []
    for name, replay, work in _works(backbone, setting):
        with torch.no_grad():
            counts = count(work)
        logits = sum(each.nbytes for each in replay.logits)
        numbers: Mapping[str, tuple[float, str]] = {
            "operations": (counts.operations, "operation"),
            "waits": (counts.waits, "wait for the device"),
            "bytes": (counts.num_bytes / logits, "size of its logits"),
        }
        figures += [
            Figure.of("launches", f"{what}: {name}", Spread.of([value]), unit)
            for what, (value, unit) in numbers.items()
        ]
    return figures


Work = tuple[str, Replay, Callable[[], object]]  # its name, what it reads, itself


def _works(backbone: DDiTBackbone, setting: Setting) -> Iterator[Work]:
    for masked, rest in ((0.3, False), (0.3, True), (1.0, True)):
        case, replay = Case(masked=masked, rest=rest), Replay(backbone)
        yield case.name, replay, runner(replay, case, setting)
    yield price(backbone, setting)
    yield gain(backbone, setting)


def price(backbone: DDiTBackbone, setting: Setting) -> Work:
    """What all edges from one state cost is made of: -log p of the tokens that are masked there."""
    replay, (features, where) = Replay(backbone), _masked(backbone, setting)
    rows = where.nonzero(as_tuple=True)
    tokens = torch.arange(len(rows[0]), device=setting.device) % backbone.process.num_tokens
    return (
        "a state's price, 30% masked",
        replay,
        lambda: token_log_probs(replay.rewind(), features, rows, tokens),
    )


def gain(backbone: DDiTBackbone, setting: Setting) -> Work:
    """What sharpening all rows of a call costs under the bound."""
    replay, (features, where) = Replay(backbone), _masked(backbone, setting)
    return (
        "a gain's price, 30% masked",
        replay,
        lambda: mean_kl(replay.rewind(), features, GAIN, features, 1.0, where),
    )


def _masked(backbone: DDiTBackbone, setting: Setting) -> tuple[Tensor, Tensor]:
    """Features of states of which 30% are masked, and where."""
    x = masked_sequences(backbone, 0.3, batch=setting.batch, device=setting.device)
    t = torch.full((setting.batch,), 0.3, dtype=torch.float64, device=setting.device)
    with torch.inference_mode():
        return backbone.features(x, t), x == backbone.process.mask


def count(run: Callable[[], object]) -> Counts:
    """What a thunk issues the second time it runs: the first time a network is called, and kernels are compiled."""
    run()
    with _Counting() as counting, _fused_kernels(counting.counts):
        run()
    return counting.counts


class _Counting(TorchDispatchMode):
    """Counts operations on tensors with a dimension; views and numbers of the host cost no launch."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = Counts()
        self.reduced: list[Tensor] = []  # numbers that lie on the device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = func._overloadpacket.__name__
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        made = [each for each in tree_leaves(out) if isinstance(each, Tensor)]
        if func.is_view or name in ALLOCATE or name == "_unsafe_view":
            return out
        if name == "nonzero" or (name == READ and any(given[0] is each for each in self.reduced)):
            self.counts.waits += 1
        if any(each.ndim for each in given + made):
            self.reduced += [each for each in made if each.ndim == 0]
            self.counts.names.append(name)
            written = sum(map(_bytes, made))
            read = written if name in PARTIAL else sum(map(_bytes, given))
            self.counts.num_bytes += read + written
        return out


@contextmanager
def _fused_kernels(counts: Counts) -> Iterator[None]:
    """Launches of Triton kernels, which no dispatcher sees."""
    with ExitStack() as stack:
        for module, name, first in FUSED if find_spec("triton") else ():
            stack.enter_context(_counted(counts, module, name, first))
        yield


@contextmanager
def _counted(counts: Counts, module: str, name: str, first: int) -> Iterator[None]:
    holder = import_module(module)
    launch = getattr(holder, name)

    def counted(*args: Any) -> Tensor:
        with _disable_current_modes():
            made: Tensor = launch(*args)
        counts.names.append(name)
        counts.num_bytes += _bytes(made) + sum(
            _bytes(each) for each in args[first:] if isinstance(each, Tensor)
        )
        return made

    setattr(holder, name, counted)
    try:
        yield
    finally:
        setattr(holder, name, launch)


def _bytes(tensor: Tensor) -> int:
    """Bytes of a tensor's own elements, each once, however often it is expanded."""
    sizes = [size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride or size == 0]
    return int(torch.Size(sizes).numel()) * tensor.element_size()
