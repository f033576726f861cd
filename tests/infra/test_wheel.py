"""The built wheel holds the whole program, and runs without the checkout."""

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.fresh_environment import fresh_environment
from tests.published.unpacked import unpack_home

ROOT = Path(__file__).parents[2]
PACKAGES = ("lsd_core", "workers", "flows")
EXTRAS = ("text", "antibody", "images", "export", "metrics", "molecules", "stack")
EXPORTED = tuple(
    f"lsd_core/export/{name}.py" for name in ("scheduling_lsd", "scheduling_lsd_uniform", "pipeline_lsd")
)
"""Files that go as text into an exported folder, where diffusers imports them."""
KERNELS = (
    "lsd_core/numerics/philox_kernel.py",
    "lsd_core/paths/row_kernels.py",
    "lsd_core/samplers/draw_kernel.py",
)
"""Imported where `numerics.fused` finds Triton, which PyTorch's CUDA builds bring."""
EVERYTHING = """
import sys
from importlib.metadata import distribution
from pathlib import Path

import flows, lsd_core, workers
from flows.cli import main
from lsd_core.backbones.catalog import load_backbone
from lsd_core.metrics.judges import digits_judge, text_judge

site, uri = sys.argv[1:]
installed = distribution("lsd-samplers")
places = {Path(package.__file__).parents[1] for package in (flows, lsd_core, workers)}
assert places | {Path(installed.locate_file(""))} == {Path(site)}, places
for entry in installed.entry_points:
    entry.load()
for weights in Path(lsd_core.__file__).parent.glob("backbones/weights/*.safetensors"):
    load_backbone(weights.stem)
digits_judge.shipped_judge()
text_judge.shipped_judge()
commands = ["study --list", "plan tiny --rate 100", "report countdown-exact --out page"]
for command in [*commands, f"sample {uri} -n 3 --seed 7 --json"]:
    try:
        main(command.split())
    except SystemExit as ended:
        assert not ended.code, command
"""


def files_of(root: Path) -> set[str]:
    """The checkout's own files of the packages, as the paths in a wheel."""
    found = (path for package in PACKAGES for path in (root / package).rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix() for path in found if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the sources: a build leaves its folders beside them."""
    folder = tmp_path_factory.mktemp("wheel")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / "source" / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "."]
    subprocess.run(
        [*build, "--wheel-dir", str(folder)], cwd=folder / "source", check=True, capture_output=True
    )
    (made,) = folder.glob("*.whl")
    return made


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages_and_the_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        information = [name for name in archive.namelist() if name not in packed]
    assert packed == files_of(ROOT)
    assert any(name.endswith("licenses/LICENSE") for name in information)


def installed(wheel: Path, folder: Path, home: Path) -> Callable[..., str]:
    """What runs a command in the empty folder `folder`/empty, where the wheel is installed and the checkout is not."""
    programs, variables = fresh_environment(folder / "env")
    (folder / "empty").mkdir()
    variables |= {"LSD_HOME": str(home), "COLUMNS": "200"}

    def run(*command: str) -> str:
        done = subprocess.run(
            [programs / command[0], *command[1:]],
            cwd=folder / "empty",
            env=variables,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    pip = (
        "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--ignore-installed",
    )
    run(*pip, str(wheel))
    return run


@pytest.mark.slow
def test_the_installed_wheel_samples_lists_plans_and_reports_without_the_checkout(
    wheel: Path, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    home, empty = unpack_home(tmp_path / "home"), tmp_path / "empty"
    run = installed(wheel, tmp_path, home)
    (site,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    assert "Draw sequences" in run("lsd", "--help")
    uri = "models:/text-radd@nfe4"  # a network that the wheel brings
    said = run("python", "-c", EVERYTHING, str(site), uri)
    assert "speed-up" in said
    assert "cells" in said
    assert "nfe4" in (empty / "page" / "countdown-exact.html").read_text()
    assert json.loads(said.splitlines()[-1]) == json.loads((home / "tokens.json").read_text())[uri]["tokens"]
    assert [path.name for path in empty.iterdir()] == ["page"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_installed_wheel_runs_a_grid_and_what_is_registered_is_chosen_and_sampled(
    wheel: Path, tmp_path: Path
) -> None:
    run = installed(wheel, tmp_path, tmp_path / "home")
    few = "--samplers euler --methods plain lsd --workers 1 --evaluation.samples 16 --evaluation.seeds 1"
    said = run("lsd", "grid", "tiny", *few.split(), "--evaluation.certificate-paths", "4")
    assert "models:/countdown-exact@nfe4" in said
    assert run("lsd", "pick", "countdown-exact", "--max-nfe", "4").startswith("models:/countdown-exact")
    assert len(run("lsd", "sample", "models:/countdown-exact@nfe4", "-n", "2").splitlines()) >= 2
    assert "countdown-exact.html" in run("lsd", "report", "countdown-exact", "--out", "page")
    run("lsd", "export", "models:/countdown-exact@nfe4", "--out", "card")
    assert (tmp_path / "empty" / "card" / "card.json").exists()


def closure(extras: tuple[str, ...]) -> set[str]:
    """The distributions that pip installs with the project and these extras."""
    found: set[tuple[str, str]] = set()
    waiting = [("lsd-samplers", extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # of another platform, or an extra that is not installed here
            continue
        for requirement in map(Requirement, lines):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                needed = normal(requirement.name)
                waiting += [(needed, wanted) for wanted in ("", *requirement.extras)]
    return {name for name, _ in found}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """(top-level module, whether inside a function or for types only) of each absolute import."""
    return ((module.partition(".")[0], inside) for module, inside in modules(tree))


def modules(tree: ast.AST, inside: bool = False) -> Iterator[tuple[str, bool]]:
    """The same with the modules' whole names."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module, inside
        typed = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        yield from modules(node, inside or typed or isinstance(node, ast.FunctionDef))


def test_what_the_packages_import_is_installed_with_them() -> None:
    of_module, own = metadata.packages_distributions(), sys.stdlib_module_names | set(PACKAGES)
    always, somehow = closure(()), closure(EXTRAS)
    missing = set()
    for name in files_of(ROOT):
        if not name.endswith(".py"):
            continue
        for module, inside in imports(ast.parse((ROOT / name).read_text())):
            brings = {normal(found) for found in of_module.get(module, [module])}
            if module not in own and not brings & (somehow if inside or name in EXPORTED else always):
                missing.add((name, module))
    assert missing == {(name, "triton") for name in KERNELS}


def test_kernels_are_imported_by_functions_alone() -> None:
    kernels = {name.removesuffix(".py").replace("/", ".") for name in KERNELS}
    found = set()
    for name in files_of(ROOT):
        if name.endswith(".py"):
            found |= {(name, full, inside) for full, inside in modules(ast.parse((ROOT / name).read_text()))}
    assert {full for _, full, inside in found if inside} >= kernels
    assert not {
        (name, full)
        for name, full, inside in found
        if full in kernels and not inside and name not in KERNELS  # a kernel may build on another
    }
