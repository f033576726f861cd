"""Fused kernels are used on accelerators alone, where they agree; else the plain path is taken, and it is said once."""

import importlib
import logging

import pytest
import torch

from lsd_core.errors import InputError
from lsd_core.numerics import fused

GPU = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing has been tried yet, and Triton is installed."""
    monkeypatch.setattr(fused, "_found", {})
    monkeypatch.setattr(fused, "find_spec", lambda name: name == "triton")


def agrees(device: torch.device) -> str:
    return ""


def refuse(device: torch.device) -> str:
    raise AssertionError("tried")


def test_the_cpu_keeps_the_plain_path_untried() -> None:
    assert not fused.usable("draws", torch.device("cpu"), refuse)
    assert not fused.usable("draws", torch.device("meta"), refuse)


def test_without_triton_the_plain_path_is_taken_and_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fused, "find_spec", lambda name: None)
    assert not fused.usable("draws", GPU, refuse)
    assert not caplog.records


def test_a_kernel_is_tried_once_a_device() -> None:
    tried: list[torch.device] = []

    def trial(device: torch.device) -> str:
        assert not fused.usable("draws", device, trial), "within the trial the plain path is taken"
        tried.append(device)
        return ""

    other = torch.device("cuda", 1)
    assert [fused.usable("draws", device, trial) for device in (GPU, GPU, other, GPU)] == [True] * 4
    assert tried == [GPU, other]
    assert fused.usable("uniforms", GPU, agrees)


@pytest.mark.parametrize("fails", [True, False])
def test_a_kernel_that_fails_or_differs_is_left_out_with_one_line(
    fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def trial(device: torch.device) -> str:
        if fails:
            raise RuntimeError("no such\ninstruction")
        return "3 of 16 tokens are others"

    with caplog.at_level(logging.WARNING):
        assert [fused.usable("draws", GPU, trial) for _ in range(3)] == [False] * 3
    [record] = caplog.records
    said = "RuntimeError: no such instruction" if fails else "3 of 16 tokens are others"
    assert record.getMessage() == (
        f"the fused kernel of draws is left out on cuda:0, plain operations take its place: {said}"
    )


def test_a_variable_switches_fused_kernels_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fused.VARIABLE, "0")
    assert not fused.usable("draws", GPU, refuse)
    monkeypatch.setenv(fused.VARIABLE, "1")
    assert fused.usable("uniforms", GPU, agrees)
    monkeypatch.setenv(fused.VARIABLE, "yes")
    for _ in range(2):
        with pytest.raises(InputError, match=r"LSD_FUSED must be 1, or 0 for plain operations, got yes"):
            fused.usable("others", GPU, agrees)


DRAW = ("lsd_core.samplers.draw_kernel", "draw_kernel")
LOG_PROB = ("lsd_core.paths.row_kernels", "log_prob_kernel")
KL = ("lsd_core.paths.row_kernels", "kl_kernel")
PHILOX = ("lsd_core.numerics.philox_kernel", "uniforms_kernel")


@pytest.mark.parametrize(
    ("where", "pointers", "capability"),
    [
        (DRAW, {"log_weights": "fp32"}, 80),
        (DRAW, {"log_weights": "fp32"}, 90),
        (DRAW, {"log_weights": "bf16"}, 90),
        (DRAW, {"log_weights": "fp64"}, 90),
        (LOG_PROB, {"log_weights": "fp32", "token": "i64"}, 80),
        (LOG_PROB, {"log_weights": "bf16", "token": "i64"}, 90),
        (KL, {"log_q": "fp32", "log_p": "fp32"}, 80),
        (KL, {"log_q": "fp32", "log_p": "fp32"}, 90),
        (KL, {"log_q": "bf16", "log_p": "fp64"}, 90),
        (PHILOX, {"call": "i64"}, 80),
        (PHILOX, {"call": ""}, 90),
    ],
)
def test_kernels_compile_for_gpus(
    where: tuple[str, str],
    pointers: dict[str, str],
    capability: int,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No GPU is needed for that: Triton brings the assembler."""
    compiler = pytest.importorskip("triton.compiler")
    target = pytest.importorskip("triton.backends.compiler").GPUTarget("cuda", capability, 32)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
    kernel = getattr(importlib.import_module(where[0]), where[1])
    types = {"token": "*i64", "uniform": "*fp64", "trajectory": "*i64", "position": "*i64", "seed_low": "i64"}
    types |= dict.fromkeys(("log_prob", "kl", "power", "power_q", "power_p"), "*fp64")
    types |= dict.fromkeys(("rate", "rate_rest", "most", "step_high", "step_middle", "step_low"), "fp32")
    types |= {argument: f"*{kind}" if kind else "i32" for argument, kind in pointers.items()}
    constants = {"BLOCK": 2048, "NUM_BLOCKS": 32}
    constants = {key: value for key, value in constants.items() if key in kernel.arg_names}
    signature = {key: "constexpr" if key in constants else types.get(key, "i32") for key in kernel.arg_names}
    source = compiler.ASTSource(kernel, signature=signature, constexprs=constants)
    compiled = compiler.compile(source, target=target, options={"num_warps": 4})
    assert len(compiled.asm["cubin"]) > 1000
    assert ("ex2.approx" in compiled.asm["ptx"]) == (where != PHILOX)
