"""The layers of the house hold: each package imports only what lies below it, and no file names a machine."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("lsd_core", "workers", "flows")
FORBIDDEN = {
    "lsd_core": {"ray", "prefect", "mlflow", "workers", "flows", "infra"},
    "workers": {"prefect", "mlflow", "flows", "infra"},
    "flows": {"infra"},
}
# load_sampler("models:/...") needs the registry; nothing is loaded until it is called.
INSIDE_FUNCTIONS = {Path("lsd_core/registry"): {"mlflow"}}
# Executed by mlflow.pyfunc alone; nothing of ours imports it.
PYFUNC = Path("lsd_core/registry/pyfunc_sampler.py")
# Bottom to top: a file of lsd_core imports its own folder and those before it, inside functions too.
LSD_CORE = (
    "errors",
    "numerics",
    "components",
    "plugins",
    "settings",
    "storage",
    "processes",
    "backbones",
    "trajectories",
    "samplers",
    "paths",
    "certificates",
    "distillation",
    "metrics",
    "tasks",
    "statistics",
    "cards",
    "candidates",
    "registry",
    "sampler",
    "export",
    "training",
)
# Folders that exist on one machine or another and never belong in the project's text.
MACHINE_PATH = re.compile(r"(?<![\w.~:/-])/(?:work|home|root|Users|opt|mnt)/[\w.-]")


def imports(source: str) -> Iterator[tuple[str, bool]]:
    """(top-level name, whether inside a function) of each absolute import, by name or by literal."""

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name.split(".")[0], inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.level == 0 and child.module:
                yield child.module.split(".")[0], inside
            elif isinstance(child, ast.Call) and ast.unparse(child.func).endswith(
                ("import_module", "__import__")
            ):
                first = child.args[0] if child.args else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value.split(".")[0], inside
            yield from walk(
                child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            )

    yield from walk(ast.parse(source), False)


def violations(path: Path, source: str) -> list[str]:
    """Imports in `path`, relative to the root, that its layer does not allow."""
    forbidden = FORBIDDEN[path.parts[0]]
    lazily = INSIDE_FUNCTIONS.get(path.parent, set())
    return [
        f"{path} imports {name}"
        for name, inside in imports(source)
        if name in forbidden and not ((inside or path == PYFUNC) and name in lazily)
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_each_package_imports_only_what_lies_below_it(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert files
    found = [v for file in files for v in violations(file.relative_to(ROOT), file.read_text())]
    assert not found


@pytest.mark.parametrize(
    ("path", "source", "allowed"),
    [
        ("lsd_core/a.py", "import torch", True),
        ("lsd_core/a.py", "import ray.util", False),
        ("lsd_core/a.py", "def f():\n    from mlflow import client", False),
        ("lsd_core/a.py", "from importlib import import_module\nimport_module('prefect.flows')", False),
        ("lsd_core/registry/a.py", "def f():\n    import mlflow", True),
        ("lsd_core/registry/a.py", "import mlflow", False),
        ("lsd_core/registry/a.py", "def f():\n    import ray", False),
        ("workers/a.py", "import ray\nimport lsd_core.storage.store", True),
        ("workers/a.py", "from flows.settings import resolve", False),
        ("workers/a.py", "def f():\n    import prefect", False),
        ("flows/a.py", "import prefect, mlflow, workers.pool", True),
        ("flows/a.py", "import infra.images", False),
    ],
)
def test_the_rules_themselves(path: str, source: str, allowed: bool) -> None:
    assert (violations(Path(path), source) == []) is allowed


def climbs(path: Path, source: str) -> list[str]:
    """Imports of a file of lsd_core, relative to the root, that lie in a later folder than the file itself."""
    place = path.parts[1].removesuffix(".py")
    found = []
    for node in ast.walk(ast.parse(source)):
        modules = []
        if isinstance(node, ast.ImportFrom) and node.module == "lsd_core":
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules = [node.module.removeprefix("lsd_core.")] if node.module.startswith("lsd_core.") else []
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            modules = [name.removeprefix("lsd_core.") for name in names if name.startswith("lsd_core.")]
        for module in modules:
            if LSD_CORE.index(module.split(".")[0]) > LSD_CORE.index(place):
                found.append(f"{path} imports {module}")
    return found


def test_the_folders_of_lsd_core_are_layers() -> None:
    files = sorted((ROOT / "lsd_core").rglob("*.py"))
    files.remove(ROOT / "lsd_core" / "__init__.py")
    files.remove(ROOT / PYFUNC)
    found = [c for file in files for c in climbs(file.relative_to(ROOT), file.read_text())]
    assert not found


@pytest.mark.parametrize(
    ("path", "source", "allowed"),
    [
        ("lsd_core/paths/a.py", "from lsd_core.samplers.state import Draws", True),
        ("lsd_core/paths/a.py", "from lsd_core.distillation.gains import settle", False),
        ("lsd_core/paths/a.py", "def f():\n    from lsd_core.tasks import catalog", False),
        ("lsd_core/paths/a.py", "import lsd_core.registry.aliases", False),
        ("lsd_core/paths/a.py", "from lsd_core import sampler", False),
        ("lsd_core/sampler.py", "from lsd_core.registry import resolve", True),
    ],
)
def test_the_order_of_the_folders(path: str, source: str, allowed: bool) -> None:
    assert (climbs(Path(path), source) == []) is allowed


def text_files() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        path = ROOT / name
        if name and path.is_file() and b"\0" not in path.read_bytes()[:4096]:
            yield path


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    here = Path(__file__).resolve()
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in text_files()
        if path.resolve() != here
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if MACHINE_PATH.search(line)
    ]
    assert not found


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("cd /home/anna/lsd", True),
        ("see '/work/x'", True),
        ("https://x.org/home/page", False),
        ("s3://bucket/work/a", False),
        ("./opt/thing ~/home/x", False),
    ],
)
def test_what_counts_as_a_machine_path(line: str, named: bool) -> None:
    assert bool(MACHINE_PATH.search(line)) is named
