"""Refuse configurations for transformers that name code to run: kernels from the hub, quantizers, and adapters.

An attention implementation `OWNER/NAME` in a configuration has transformers download that repository and run it, if the
package `kernels` is installed, and `flash_attention_2` does so where flash-attn is not. A `quantization_config` chooses
a package to load weights with, and some of these fetch kernels too. An adapter beside the weights
is loaded by the package `peft`, if it is installed, which imports modules that its configuration names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lsd_core.backbones.published import read_config
from lsd_core.errors import InputError

FIELDS = ("attn_implementation", "experts_implementation", "attn_implementation_internal")
OURS = (None, "eager", "sdpa", "batched_mm", "grouped_mm")
"""Implementations that torch alone carries out."""
QUANTIZED = ("quantization_config", "compression_config")
ADAPTER = "adapter_config.json"


def check_config(record: Any, source: str) -> None:
    """Raise InputError for a configuration, or a part of one, that asks for code from elsewhere."""
    for name, value in record.items() if isinstance(record, Mapping) else ():
        if str(name).strip("_") in FIELDS and value not in OURS:
            rule = f"be one of {', '.join(filter(None, OURS))}, since no code that a file names is run"
            raise InputError(f"{name} in {source}", rule, value, "leave it out")
        if name in QUANTIZED and value is not None:
            rule, remedy = "be left out, since weights are read as they are", "save the weights unquantised"
            raise InputError(f"{name} in {source}", rule, value, remedy)
        check_config(value, source)
    for value in record if isinstance(record, list) else ():
        check_config(value, source)


def check_folder(folder: Path) -> None:
    """The same of a folder that transformers is to read, which must hold no adapter."""
    if (folder / ADAPTER).exists():
        remedy = "merge the adapter into the weights (peft's merge_and_unload) and save these"
        raise InputError(f"folder {folder}", "hold whole weights", ADAPTER, remedy)
    if (folder / "config.json").is_file():
        check_config(read_config(folder / "config.json"), str(folder / "config.json"))
