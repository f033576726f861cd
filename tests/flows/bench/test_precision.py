"""What ships costs what float32 costs where a processor has no half-precision kernels."""

import json
import os
import subprocess
import sys

import pytest

from lsd_core.backbones.catalog import BACKBONES

NO_HALF_KERNELS = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
def test_a_shipped_network_costs_what_float32_costs_without_half_precision_kernels() -> None:
    command = [sys.executable, "-m", "flows.cli", "bench", "precision", "--rounds", "5", "--json"]
    done = subprocess.run(
        command, env=os.environ | NO_HALF_KERNELS, capture_output=True, text=True, check=False
    )
    figures = json.loads(done.stdout)["figures"]
    shipped = {figure["case"]: figure for figure in figures if figure["at_most"] is not None}
    assert set(shipped) == {name for name, entry in BACKBONES.items() if entry.earlier}
    assert max(figure["value"] for figure in shipped.values()) <= 1.3
    assert {figure["at_most"] for figure in shipped.values()} == {1.3}
    assert done.returncode == 0
