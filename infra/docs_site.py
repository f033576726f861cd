"""Pages of the documentation's site that are made when it is built: start, changelog, commands and API.

mkdocs loads this file as a hook (`mkdocs.yml`). Pages in `docs/` are plain Markdown that reads as well without a site.
"""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
API = {
    "api/sampling.md": ("Sampling", ["lsd_core.sampler"]),
    "api/cards.md": ("Sampler cards and step tables", ["lsd_core.cards", "lsd_core.samplers.table"]),
    "api/registry.md": (
        "The model registry",
        [f"lsd_core.registry.{name}" for name in ("reading", "lookup", "writing", "aliases", "curves")],
    ),
    "api/samplers.md": (
        "Base samplers",
        [f"lsd_core.samplers.{name}" for name in ("protocol", "step", "state", "loop", "catalog")],
    ),
    "api/methods.md": ("Methods", ["lsd_core.distillation.methods", "lsd_core.distillation.learned"]),
    "api/backbones.md": (
        "Backbones",
        [f"lsd_core.backbones.{name}" for name in ("catalog", "protocol", "adapted", "family")],
    ),
    "api/tasks.md": ("Tasks and metrics", ["lsd_core.tasks.task", "lsd_core.metrics.metric"]),
    "api/export.md": (
        "Exports",
        ["lsd_core.export.formats", "lsd_core.export.engines", "lsd_core.export.hub"],
    ),
    "api/plugins.md": ("Plugins and settings", ["lsd_core.plugins", "lsd_core.settings", "lsd_core.errors"]),
    "api/grids.md": ("Grids and studies", ["flows.config", "flows.study.config"]),
}
"""Title of each page of the API reference, and the modules whose docstrings it shows."""


def generated_pages() -> dict[str, str]:
    """Markdown of each generated page, by its path in the site."""
    return {
        "index.md": _moved("README.md"),
        "changelog.md": _moved("CHANGELOG.md"),
        "commands.md": commands(),
        **{path: _reference(title, modules) for path, (title, modules) in API.items()},
    }


def commands() -> str:
    """The reference of the command line, from the commands themselves."""
    from flows.cli import app

    return str(app.generate_docs())


def _moved(name: str) -> str:
    """A page of the project's folder as one of `docs/`: its links lose that folder."""
    return (ROOT / name).read_text().replace("](docs/", "](")


def _reference(title: str, modules: list[str]) -> str:
    return "\n\n".join([f"# {title}", *(f"::: {module}" for module in modules)]) + "\n"


def without_source_links(markdown: str) -> str:
    """Links to files beside `docs/` as their text: a site has the documentation alone."""
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", markdown)


def on_files(files: Any, config: Any) -> Any:
    """Hook of mkdocs: the generated pages beside those of `docs/`."""
    from mkdocs.structure.files import File

    for path, markdown in generated_pages().items():
        files.append(File.generated(config, path, content=markdown))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Hook of mkdocs: a page before it is rendered."""
    return without_source_links(markdown)
