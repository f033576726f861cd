"""Exported code as a stranger loads it: from the file that lies there, nothing of ours imported."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def module_from(file: Path) -> ModuleType:
    """The module in a file, under a name of its own."""
    spec = importlib.util.spec_from_file_location(f"{file.stem}_exported", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
