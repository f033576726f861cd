"""Write pages of a backbone or a run into a folder, and log them in MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flows.pipeline.run import Run
from flows.pipeline.timing import seconds_under
from flows.report.candidates_on_store import specs_on
from flows.report.html_page import write
from flows.report.page_data import make_page_data
from flows.report.run_report import Outcome
from flows.settings import Settings
from lsd_core import registry
from lsd_core.storage.store import Store


@dataclass(frozen=True)
class Page:
    """One backbone's report, written and logged."""

    backbone: str
    files: tuple[Path, ...]
    """The page, its numbers, its picture."""
    run_id: str
    """The MLflow run that holds them."""
    url: str | None
    """Where MLflow shows it, if it is served."""

    @property
    def link(self) -> str:
        return self.url or self.files[0].absolute().as_uri()


def report_backbone(
    backbone: str, settings: Settings, folder: Path | None = None, samples: bool = True
) -> Page:
    """The report of what the store holds for a backbone."""
    store = Store(settings.store)
    store.check(writable=False)
    specs, left_out = specs_on(store, backbone)
    data = make_page_data(store, specs, left_out=left_out, seconds=seconds_under(settings.reports))
    written = write(data, folder or settings.reports, samples)
    return _file(backbone, written.all, settings.tracking_uri)


def report_run(run: Run, outcome: Outcome) -> list[Page]:
    """A page for each backbone of a grid, of this grid's candidates alone."""
    pages, folder = [], run.settings.reports / run.plan.config.name
    run.timing.write_candidates(folder)
    seconds = seconds_under(run.settings.reports)
    fingerprints = {backbone.name: backbone.fingerprint for backbone in run.plan.backbones}
    for backbone, verdicts in outcome.verdicts.items():
        every = run.plan.by_backbone[fingerprints[backbone]]
        data = make_page_data(
            run.store,
            [spec for spec in every if spec.key in run.cards],
            verdicts={alias: verdict for alias, verdict in verdicts.items() if "-" not in alias},
            sizes=run.plan.config.sizes,
            failures={s.label: outcome.failures[s.label] for s in every if s.label in outcome.failures},
            seconds=seconds,
        )
        written = write(data, folder)
        pages.append(_file(backbone, written.all, run.settings.tracking_uri))
    return pages


def _file(backbone: str, files: Sequence[Path], tracking_uri: str) -> Page:
    run_id, url = registry.log_report(
        backbone, files, title=f"report of {backbone}", tracking_uri=tracking_uri
    )
    return Page(backbone, tuple(files), run_id, url)
