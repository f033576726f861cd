"""The documentation builds as a site: no warning, no broken link or anchor, nothing loaded from other places."""

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

from infra.docs_site import API, ROOT, generated_pages
from tests.test_docs import leaves

for module in ("mkdocs", "material", "mkdocstrings_handlers.python"):
    pytest.importorskip(module, reason="the extra [docs], which [dev] brings")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """As `make docs` builds it."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(site)]
    env = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=500)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this project, built once."""
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT / "mkdocs.yml", folder)
    assert built.returncode == 0, built.stdout + built.stderr
    assert "WARNING" not in built.stderr, built.stderr
    return folder


@cache
def html(file: Path) -> str:
    """The text of a built page."""
    return file.read_text()


@cache
def ids(file: Path) -> set[str]:
    """The anchors of a built page."""
    return set(re.findall(r'\sid="?([^"\s>]+)', html(file)))


def pages(site: Path) -> list[Path]:
    """The built pages; the page of a missing address names files by the root of a server."""
    return [file for file in site.rglob("*.html") if file.name != "404.html"]


def test_every_page_of_the_navigation_is_built_under_its_heading(site: Path) -> None:
    generated = generated_pages()
    for page in leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]):
        source = generated[page] if page in generated else (ROOT / "docs" / page).read_text()
        name = "index.html" if page == "index.md" else f"{page.removesuffix('.md')}/index.html"
        [heading] = re.findall(r"<h1[^>]*>(.*?)<", html(site / name))
        assert source.startswith(f"# {heading}\n"), page


def test_the_reference_shows_each_module_with_its_functions_and_classes(site: Path) -> None:
    for page, (_, modules) in API.items():
        shown = ids(site / page.removesuffix(".md") / "index.html")
        for module in modules:
            assert any(name.startswith(f"{module}.") for name in shown), f"{page}: {module}"
    assert "lsd_core.sampler.load_sampler" in ids(site / "api" / "sampling" / "index.html")


def test_every_link_of_a_built_page_leads_to_a_file_and_an_anchor(site: Path) -> None:
    assert len(pages(site)) > 20
    for page in pages(site):
        for link in re.findall(r'\s(?:href|src)="?([^"\s>]+)', html(page)):
            if re.match(r"[a-z]+:", link):
                continue
            name, _, fragment = link.partition("#")
            file = (page.parent / name).resolve() if name else page
            file = file / "index.html" if file.is_dir() else file
            assert file.is_file(), f"{page}: {link}"
            if fragment and file.suffix == ".html":
                assert fragment in ids(file), f"{page}: {link}"


def test_no_markdown_is_shown_as_text(site: Path) -> None:
    """A list or table needs an empty line before it here, which it does not on GitHub."""
    for page in pages(site):
        shown = re.sub(r"<(pre|code|script)\b.*?</\1>", "", html(page), flags=re.DOTALL)
        for paragraph in re.findall(r"<p>(.*?)</p>", shown, flags=re.DOTALL):
            text = re.sub(r"<[^>]+>", "", paragraph)
            left = re.search(r"^(?:\||- |\d+\. ).*|\*\*.*|.*\]\(.*|```", text, flags=re.MULTILINE)
            assert not left, f"{page}: {left}"


def test_a_page_loads_nothing_from_other_places(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = re.findall(r"<(?:script|img|iframe|source|link)\b[^>]*", html(page))
        assert not [tag for tag in loaded if re.search(r'(?:src|href)="?(?:https?:)?//', tag)], page


FAULTS = {
    "missing.md": "the target is not found",
    "#nowhere": "no such anchor on this page",
    "other.md#elsewhere": "does not contain an anchor",
    "/absolute.md": "absolute link",
    "folder/": "unrecognized relative link",
    "unnamed.md": 'not included in the "nav"',
    "lost.md": "not found in the documentation files",
    "broken.nothing": "Could not find cross-reference target",
    "extra": "does not appear in the function signature",
}
"""What a faulty page or docstring names, and what mkdocs says of it."""
MODULE = '''
def halved(number: int) -> float:
    """Half of a number.

    Parameters
    ----------
    extra
        It has no such argument.
    """
    return number / 2
'''


def test_each_fault_of_a_page_or_docstring_is_a_warning_and_fails_the_build(tmp_path: Path) -> None:
    docs, config = tmp_path / "docs", tmp_path / "mkdocs.yml"
    docs.mkdir()
    links = "\n\n".join(f"[there]({link})" for link in list(FAULTS)[:5])
    (docs / "index.md").write_text(f"{links}\n\n[there][broken.nothing]\n")
    (docs / "other.md").write_text("# Other\n\n::: broken\n")
    (docs / "unnamed.md").write_text("# A page that the navigation lacks\n")
    (tmp_path / "broken.py").write_text(MODULE)
    own = {"docs_dir": "docs", "nav": ["index.md", "other.md", "lost.md"], "hooks": []}
    config.write_text(yaml.safe_dump({"INHERIT": str(ROOT / "mkdocs.yml")} | own))
    built = build(config, tmp_path / "site")
    assert built.returncode != 0
    lines = re.split(r"^(?=[A-Z]+ +- )", built.stderr, flags=re.MULTILINE)
    warnings = [line for line in lines if line.startswith("WARNING")]
    for name, said in FAULTS.items():
        assert any(name in warning and said in warning for warning in warnings), name
