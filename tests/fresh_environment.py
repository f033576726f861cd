"""A fresh virtual environment that borrows the dependencies of the tests' own, without the checkout."""

import os
import sysconfig
import venv
from pathlib import Path


def fresh_environment(folder: Path, *first: Path) -> tuple[Path, dict[str, str]]:
    """Its `bin` folder and the variables that choose it; `first` are folders to import from before the dependencies.

    The path file of an editable install is read in its own environment only: `lsd_core` is not importable here
    unless `first` has it or it is installed.
    """
    venv.create(folder, with_pip=False, symlinks=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "beside.pth").write_text(
        "".join(f"{path}\n" for path in (*first, sysconfig.get_paths()["purelib"]))
    )
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return folder / "bin", kept | {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
