"""Virtual environments for servers that pip can install, apart from the project's own packages."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from lsd_core.storage.home import cache_dir


class StackError(RuntimeError):
    """A server of this machine could not be installed or started; one line that says which and why."""


def installed(name: str, requirements: Path) -> Path:
    """The `bin` folder of a virtual environment that holds these requirements; made on first use.

    The folder's name carries the hash of the requirements. Two processes that ask at once wait for each
    other. Raises StackError with pip's last line where the installation fails.
    """
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:8]
    folder = cache_dir() / "servers" / f"{name}-{digest}"
    ready = folder / ".ready"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run(name, [sys.executable, "-m", "venv", str(folder)])
            _run(
                name, [str(folder / "bin" / "pip"), "install", "--quiet", "--requirement", str(requirements)]
            )
            ready.touch()
    return folder / "bin"


def clean_environment() -> dict[str, str]:
    """Our environment without what would lead another Python to our packages, or show it our secrets."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "AWS_", "LSD_", "MLFLOW_", "PREFECT_", "RAY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _run(name: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment(), check=False)
    if done.returncode:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        errors = [line for line in said if "ERROR" in line] or said or ["no output"]
        raise StackError(f"{name} could not be installed: {errors[-1].strip()} ({' '.join(command[:3])} ...)")
