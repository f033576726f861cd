"""The documentation holds together: links lead somewhere, the navigation names every page, versions are the code's."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.docs_site import API, ROOT, generated_pages, without_source_links
from lsd_core import cards
from lsd_core.candidates import shared_costs
from lsd_core.candidates.spec import CODE_EPOCH
from lsd_core.candidates.teacher import LAW_VERSION
from lsd_core.trajectories import manifest, spec

DOCS = ROOT / "docs"
PAGES = [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]


def prose(text: str) -> str:
    """Markdown without its code."""
    return re.sub(r"`[^`\n]+`", "", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE))


def links(text: str) -> list[str]:
    """Targets of links and pictures that are no addresses of the web."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(text))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """The fragments of a page's headings, as GitHub names them."""
    without_code = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ +(.+?)\s*$", without_code, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in links(page.read_text()):
        name, _, fragment = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        if fragment:
            assert fragment in anchors(file.read_text()), target


def leaves(nav: Any) -> Iterator[str]:
    """The pages of a navigation."""
    if isinstance(nav, str):
        yield nav
        return
    for part in nav.values() if isinstance(nav, dict) else nav:
        yield from leaves(part)


def test_the_navigation_names_every_page_once() -> None:
    named = list(leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert len(named) == len(set(named))
    assert set(named) == written | generated_pages().keys()
    assert not written & generated_pages().keys()


def test_generated_pages_link_within_the_site_and_show_every_command_and_module() -> None:
    pages = generated_pages()
    for path, text in pages.items():
        for target in links(without_source_links(text)):
            name, _, fragment = target.partition("#")
            assert not name or name in pages or (DOCS / name).exists(), f"{path}: {target}"
            assert name or fragment in anchors(text), f"{path}: {target}"
    for command in ("grid", "plan", "sample", "samplers", "report", "verify", "train"):
        assert f"\n## lsd {command}\n" in pages["commands.md"]
    assert "--nfe" in pages["commands.md"]
    for _, modules in API.values():
        for module in modules:
            assert (ROOT / f"{module.replace('.', '/')}.py").is_file(), module


def test_pages_of_the_site_do_not_link_to_source_files() -> None:
    text = "see [the rule](../lsd_core/errors.py) and [speed](speed.md)"
    assert without_source_links(text) == "see the rule and [speed](speed.md)"
    for page in DOCS.rglob("*.md"):
        for target in links(without_source_links(page.read_text())):
            assert (page.parent / target.partition("#")[0]).resolve().is_relative_to(DOCS), target


def test_the_table_of_versions_says_what_the_code_reads_and_writes() -> None:
    table = (
        (DOCS / "storage.md").read_text().partition("## Versions of what is stored")[2].partition("\n## ")[0]
    )
    rows = [
        [cell.strip(" `") for cell in row.split("|")[1:-1]] for row in table.splitlines() if row[:1] == "|"
    ]
    versions = [(field, read, written) for _, field, read, written, _ in rows[2:]]
    assert versions == [
        ("schema_version", str(cards.SCHEMA_VERSION), str(cards.SCHEMA_VERSION)),
        ("code_epoch", "any", str(CODE_EPOCH)),
        ("schema_version", str(manifest.MANIFEST_VERSION), str(manifest.MANIFEST_VERSION)),
        ("schema_version", str(spec.SCHEMA_VERSION), str(spec.SCHEMA_VERSION)),
        ("law_version", "any", str(LAW_VERSION)),
        ("of.version", str(shared_costs.VERSION), str(shared_costs.VERSION)),
        ("sha256", "with or without", "with"),
    ]


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (first, *_) = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert first.split()[0] == version
