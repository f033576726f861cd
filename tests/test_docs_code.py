"""The code in the documentation is the project's: commands, settings, imports, paths and variables exist.

Tutorials and docs/extending.md are run whole elsewhere; what no other test runs is run here.
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.config import ConditionsConfig, EvaluationConfig, GridConfig, TeacherConfig, grid_names
from flows.study.config import study_names
from infra.docs_site import ROOT
from lsd_core.backbones.catalog import load_backbone
from lsd_core.cards import Evaluation, SamplerCard
from lsd_core.trajectories.spec import TeacherSpec
from tests.documented_commands import CHECKS, check
from tests.test_docs import DOCS, PAGES

PACKAGES = ("lsd_core", "workers", "flows", "infra")
LISTINGS = ("GridConfig ──plan──>", "lsd_core/ ", "C.{10,17}W", "teachers/<backbone>")
"""How the blocks begin that are no commands: diagrams, listings of folders, a pattern."""
FIELDS = {
    "teacher": TeacherConfig.model_fields.keys() | TeacherSpec.__dataclass_fields__.keys(),
    "evaluation": EvaluationConfig.model_fields.keys() | Evaluation.model_fields.keys(),
    "conditions": ConditionsConfig.model_fields.keys(),
}
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of each block of code."""
    yield from re.findall(r"^ *```(\w*)\n(.*?)^ *```", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def inline(page: Path) -> Iterator[str]:
    """The code between backticks in sentences and tables."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for paragraph in re.split(r"\n\n|\n(?=\||- |\d\. )", text):
        yield from (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", paragraph))


def resolves(dotted: str) -> bool:
    """Whether this is a module, or an attribute of one."""
    module, _, attribute = dotted.rpartition(".")
    if not module or find_spec(module) is None:
        return False
    return hasattr(import_module(module), attribute) or find_spec(dotted) is not None


@each_page
def test_every_command_is_taken_by_its_program(page: Path) -> None:
    for language, block in blocks(page):
        if language in ("", "sh") and not block.startswith(LISTINGS):
            for line in filter(str.strip, block.splitlines()):
                check(line, whole=True)
    for code in inline(page):
        if len(words := code.split()) > 1 and words[0] in CHECKS:
            check(code, whole=False)


@pytest.mark.parametrize(
    "line",
    [
        "lsd grid countdown --colour red",
        "lsd grid no-such-grid",
        "lsd study no-such-study",
        "lsd sample",
        "make everything",
        "pip install -e '.[text,nothing]' -c constraints.txt",
        "pip install -e . -c no-constraints.txt",
        "prefect deployment run lsd/nothing",
        "prefect deployment run lsd/distill-grid --colour red",
        """prefect deployment run lsd/distill-grid --param config='{"name": "mine", "colour": "red"}'""",
        "python -m infra.bench.nothing",
        "mlflow ui --colour red",
        "kubectl apply -f infra/kubernetes/nothing.yaml",
        "somebody else's program",
    ],
)
def test_a_command_that_is_wrong_is_found(line: str) -> None:
    with pytest.raises(Exception, match=r".") as found:
        check(line, whole=True)
    assert not isinstance(found.value, ImportError | KeyError | IndexError), found.value


@each_page
def test_every_block_of_settings_is_a_grids(page: Path) -> None:
    for language, block in blocks(page):
        if language == "yaml" and page.name != "extending.md":  # its samplers are those of another package
            GridConfig.model_validate({"name": "documented"} | yaml.safe_load(block))


@each_page
def test_every_import_of_a_block_of_python_resolves(page: Path) -> None:
    for language, block in blocks(page):
        for node in ast.walk(ast.parse(block)) if language == "python" else ():
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith(PACKAGES):
                for name in node.names:
                    assert resolves(f"{node.module}.{name.name}"), ast.unparse(node)


@each_page
def test_paths_modules_and_settings_in_sentences_exist(page: Path) -> None:
    for code in inline(page):
        if re.fullmatch(rf"(?:{'|'.join(PACKAGES)}|tests|docs)/[\w./-]*", code):
            assert (ROOT / code).exists(), code
        elif found := re.match(rf"(?:{'|'.join(PACKAGES)})(?:\.\w+)+", code):
            assert resolves(found[0]), code
        elif found := re.fullmatch(r"(teacher|evaluation|conditions)\.(\w+)", code):
            assert found[2] in FIELDS[found[1]], code


def test_every_variable_named_is_read_by_the_code() -> None:
    source = "".join(file.read_text() for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    source += (ROOT / "prefect.yaml").read_text()
    for page in PAGES:
        for name in re.findall(r"\bLSD_[A-Z_]+\b", page.read_text()):
            assert re.search(rf"\b{name}\b", source) or f'"{name.removeprefix("LSD_")}' in source, name


def test_every_component_grid_and_study_that_ships_is_documented() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    named = {name for group in groups for name in groups[group] if group != "lsd.backbones"}
    text = "".join(page.read_text() for page in PAGES)
    for name in sorted(named | {*grid_names(), *study_names()}):
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", text), name


def card_of(backbone_name: str, folder: Path) -> str:
    """The address of a card of plain steps for a network that ships with us."""
    backbone = load_backbone(backbone_name)
    length = backbone.length
    metrics = {name: {"mean": 0.1, "per_seed": [0.1]} for name in ("error", "unigram_entropy")}
    fields: dict[str, Any] = {
        "backbone": {
            "name": backbone.name,
            "fingerprint": backbone.fingerprint,
            "family": backbone.family,
        },
        "process": backbone.process.to_dict(),
        "sampler": "fixed_counts",
        "method": "plain",
        "nfe": 2,
        "steps": 2,
        "calls": {"mean": 2, "max": 2},
        "table": {"counts": [length, length // 2, 0], "gains": [1.0, 1.0], "gain_on": "log_score"},
        "seed": 0,
        "seeds": [0],
        "evaluation": {
            "judge": "of the documentation",
            "samples": 1,
            "primary": "error",
            "diversity": "unigram_entropy",
            "selection": metrics,
            "report": metrics,
        },
        "provenance": {"config_hash": "c0ffee", "code_epoch": 1, "environment": {}},
    }
    (folder / "card.json").write_text(SamplerCard.model_validate(fields).to_json())
    return str(folder / "card.json")


def run(page: str, backbone: str, address: str, folder: Path) -> dict[str, Any]:
    """Run the block that samples from this address, on a card of its network in the place of a registry."""
    [block] = [text for _, text in blocks(DOCS / page) if f'"{address}"' in text]
    names: dict[str, Any] = {}
    exec(block.replace(address, card_of(backbone, folder)), names)
    return names


def test_the_block_on_prompts_and_templates_runs(tmp_path: Path) -> None:
    names = run("own-backbones.md", "text-radd", "models:/text-radd@nfe8", tmp_path)
    written = names["sampler"].write(names["tokens"])
    assert len(written) == 4
    assert all(text.startswith("if ") and text[7:].startswith(" is not defined") for text in written)


def test_the_block_on_conditions_runs(tmp_path: Path) -> None:
    names = run("conditions.md", "lists", "models:/lists@nfe4-given-ad4f8059", tmp_path)
    given = [3, 9, 2, 2, 7, 0, 1, 5, 4]
    assert names["tokens"][:, : len(given)].tolist() == [given] * 4
