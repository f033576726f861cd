"""Tests of Triton kernels in Triton's interpreter, which runs where the variable was set before Triton was imported.

`tests/lsd_core/test_interpreted.py` starts them, in a process of their own: nothing else is interpreted.
"""

import os

import pytest
import torch

from lsd_core.numerics import fused
from lsd_core.samplers import state

collect_ignore_glob = [] if os.environ.get("TRITON_INTERPRET") == "1" else ["test_*.py"]


@pytest.fixture
def fused_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fused kernels replace plain operations on the CPU too; what they are compared on first is left out."""
    monkeypatch.setattr(fused, "DEVICES", ("cpu",))
    found = {(name, torch.device("cpu")): True for name in ("uniforms", "draws", "costs")}
    monkeypatch.setattr(fused, "_found", found)
    monkeypatch.setitem(state.AT_ONCE, "cpu", 1)  # uniforms of one step alone: the interpreter is slow
