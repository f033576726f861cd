"""Components are found by name in every installed distribution, imported late, and refused in one clear line."""

import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lsd_core import plugins
from lsd_core.components import OURS
from lsd_core.errors import InputError
from lsd_core.plugins import GROUPS, Registry, instance_of, require

ROOT = Path(__file__).parent.parent.parent
Install = Callable[..., None]


@dataclass(frozen=True)
class Part:
    """A component of a test."""

    label: str = "by a class"
    version: int = 1


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a distribution on the path: metadata with entry points of one group, and a module."""

    def put(
        distribution: str, names: dict[str, str], module: str = "", source: str = "", group="lsd.methods"
    ):
        folder = tmp_path / distribution
        info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = [f"[{group}]", *(f"{name} = {target}" for name, target in names.items())]
        (info / "entry_points.txt").write_text("\n".join(lines))
        (folder / f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(str(folder))
        plugins.rescan()

    yield put
    plugins.rescan()


def parts() -> Registry[Part]:
    return Registry("lsd.methods", instance_of(Part))


HERE = "from tests.lsd_core.test_plugins import Part\n"


def test_a_class_and_an_instance_are_components(install: Install) -> None:
    install(
        "lsd-one", {"b": "one_parts:Part", "a": "one_parts:A"}, "one_parts", HERE + "A = Part('instance')"
    )
    registry = parts()
    assert list(registry)[-2:] == ["a", "b"]
    assert (registry["a"].label, registry["b"].label) == ("instance", "by a class")
    assert registry["a"] is registry["a"]
    assert "c" not in registry


def test_listing_the_names_imports_nothing(install: Install) -> None:
    install("lsd-late", {"late": "late_parts:A"}, "late_parts", HERE + "A = Part()")
    registry = parts()
    assert "late" in list(registry)
    assert "late_parts" not in sys.modules
    assert registry["late"] == Part()
    assert "late_parts" in sys.modules


def test_an_unknown_name_lists_the_known_ones(install: Install) -> None:
    install("lsd-known", {"known": "known_parts:A"}, "known_parts", HERE + "A = Part()")
    with pytest.raises(InputError, match=r"method must be one of \[.*'known'\], got magic"):
        parts()["magic"]


def test_a_name_of_two_distributions_is_one_line(install: Install) -> None:
    install("lsd-first", {"same": "first_parts:A"}, "first_parts", HERE + "A = Part()")
    install("lsd-second", {"same": "second_parts:A"}, "second_parts", HERE + "A = Part()")
    with pytest.raises(
        InputError, match=r"method same must come from one distribution, got .*lsd-.*uninstall"
    ):
        parts()["same"]


@pytest.mark.parametrize("name", ["../x", "a b", "<b>", "it's", "[red]", "x" * 65])
def test_a_name_that_is_no_part_of_keys_and_tags_is_refused_unimported(install: Install, name: str) -> None:
    install("lsd-odd", {name: "odd_parts:A"}, "odd_parts", HERE + "A = Part()")
    with pytest.raises(InputError, match="name of a method of lsd-odd must be a name of ASCII letters"):
        parts()[next(each for each in parts() if each == name)]
    assert "odd_parts" not in sys.modules


def test_a_name_of_ours_cannot_be_taken_over(install: Install) -> None:
    install("lsd-taker", {"euler": "taker_parts:A"}, "taker_parts", HERE + "A = Part()", group="lsd.samplers")
    with pytest.raises(
        InputError, match="sampler euler must come from one distribution, got lsd-samplers, lsd-taker"
    ):
        Registry("lsd.samplers", instance_of(Part))["euler"]


@pytest.mark.parametrize(
    ("target", "source", "reason"),
    [
        ("broken_a:A", "import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("broken_b:A", "B = 1", "AttributeError"),
        ("broken_c:A", "raise RuntimeError('two\\nlines')", "RuntimeError: two lines"),
    ],
)
def test_what_does_not_import_names_its_distribution(
    install: Install, target: str, source: str, reason: str
) -> None:
    install("lsd-broken", {"broken": target}, target.partition(":")[0], source)
    with pytest.raises(
        InputError, match=f"method broken of lsd-broken must be importable, got .*{reason}"
    ) as caught:
        parts()["broken"]
    assert "\n" not in str(caught.value)
    assert "pip uninstall lsd-broken" in str(caught.value)


def test_what_is_of_another_kind_is_refused(install: Install) -> None:
    install("lsd-other", {"number": "other_parts:A"}, "other_parts", "A = 3")
    with pytest.raises(InputError, match="component number must be a Part, got 3"):
        parts()["number"]


def test_only_components_that_are_not_ours_at_version_1_are_recorded(install: Install) -> None:
    source = HERE + "A = Part()\nB = Part(version=4)"
    install("lsd-versions", {"a": "versions_parts:A", "b": "versions_parts:B"}, "versions_parts", source)
    expected = {"lsd.methods:a": ("lsd-versions", 1), "lsd.methods:b": ("lsd-versions", 4)}
    assert parts().recorded("a", "b") == expected
    samplers: Registry[object] = Registry("lsd.samplers", instance_of(object))
    assert samplers.recorded("euler", "halton") == {}


def test_what_was_recorded_must_be_installed_at_its_version(install: Install) -> None:
    install("lsd-needed", {"a": "needed_parts:A"}, "needed_parts", HERE + "A = Part(version=2)")
    require({"lsd.methods:a": ("lsd-needed", 2)})
    with pytest.raises(
        InputError, match="method a must be version 3, with which this was made, got 2; install"
    ):
        require({"lsd.methods:a": ("lsd-needed", 3)})
    with pytest.raises(InputError, match="method z must be installed, got no lsd-gone; pip install lsd-gone"):
        require({"lsd.methods:z": ("lsd-gone", 1)})
    with pytest.raises(
        InputError, match="pip install lsd-elsewhere"
    ):  # the same name, of another distribution
        require({"lsd.methods:a": ("lsd-elsewhere", 2)})


def test_ours_are_listed_in_pyproject_as_anybody_lists_theirs() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    ours = {group: list(names.items()) for group, names in OURS.items()}
    assert {group: list(names.items()) for group, names in listed.items()} == ours
    assert list(OURS) == list(GROUPS)


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group, names in OURS.items() for name in names]
)
def test_ours_can_be_loaded(group: str, name: str) -> None:
    assert plugins.load(group, name) is not None


def test_names_cost_no_heavy_import() -> None:
    code = "import sys, lsd_core.plugins as p; list(p.Registry('lsd.tasks', None)); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    "distribution", ["x; reboot", "$(reboot)", "x y", "--index-url=elsewhere", "../x", "`x`", ""]
)
def test_nothing_that_a_shell_would_run_is_advised_to_install(distribution: str) -> None:
    with pytest.raises(InputError, match="distribution of best must be the name of a Python distribution"):
        require({"lsd.methods:best": (distribution, 1)})
    with pytest.raises(InputError, match="name of a recorded component must be a name of ASCII letters"):
        require({f"lsd.methods:{distribution}": ("lsd-one", 1)})
