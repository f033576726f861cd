"""The first screen of a page: what to use at each budget, against what people run by default, and how to load it."""

import dataclasses
import io
from pathlib import Path

import pytest
from rich.console import Console

from flows.config import load_grid
from flows.report import recommendation
from flows.report.candidates_on_store import specs_on
from flows.report.html_page import html
from flows.report.page_data import PageData, make_page_data
from flows.report.recommendation import recommendations
from flows.report.results_page import ROOT, block, grid_pages
from flows.report.samplers_table import in_words, samplers_table
from lsd_core.cards import Metric
from lsd_core.numerics.number_text import entropy_text, interval_text, ratio_text, short
from lsd_core.registry import list_versions, pick
from lsd_core.registry.card_fields import describe
from lsd_core.storage.store import Store

NAME = "countdown-exact"
ASKED = "not measured: add confidence_drawn to the methods"


@pytest.fixture(scope="module")
def data(published: PageData) -> PageData:
    return published


@pytest.fixture(scope="module")
def page(data: PageData) -> str:
    return html(data, samples=False)


def test_the_champion_is_compared_with_plain_steps_on_paired_samples(data: PageData) -> None:
    [found] = recommendations(data)
    champion, plain = data.champion(4), data.baseline(4)
    assert found.entry is champion
    assert found.plain is not None
    assert champion is not None
    assert plain is not None
    assert found.plain.entry is plain
    assert found.plain.ratio == ratio_text(champion.row.mean, plain.row.mean)
    by = found.plain.difference
    assert by.mean == pytest.approx(champion.row.mean - plain.row.mean)
    assert by.low < by.mean < by.high
    assert found.control is not None
    assert found.control.entry not in (champion, plain)
    assert not found.control.entry.row.learned


def test_confidence_based_unmasking_is_compared_where_it_was_measured(
    data: PageData, monkeypatch: pytest.MonkeyPatch
) -> None:
    [found] = recommendations(data)
    assert (found.confidence, found.confidence_text) == (None, ASKED)
    monkeypatch.setattr(recommendation, "CONFIDENCE", ("halton",))
    [found] = recommendations(data)
    [measured] = [e for e in data.entries if (e.spec.method, e.spec.sampler) == ("plain", "halton")]
    assert found.confidence is not None
    assert found.confidence.entry is measured
    assert found.confidence_text == ""
    assert found.control is not None
    assert found.control.entry is not measured
    rows = {e: dataclasses.replace(e.row, aliases=("nfe4",) if e is measured else ()) for e in data.entries}
    crowned = dataclasses.replace(
        data, entries=tuple(dataclasses.replace(entry, row=row) for entry, row in rows.items())
    )
    [found] = recommendations(crowned)
    assert (found.confidence, found.confidence_text) == (None, "is that itself")


def test_an_alias_that_was_decided_before_says_so_and_its_card_is_the_holders(published_home: Path) -> None:
    store = Store(str(published_home / "store"))
    data = make_page_data(store, specs_on(store, "countdown-uniform-exact")[0])
    [found] = recommendations(data)
    assert found.entry.row.learned
    assert not data.verdicts["nfe4"].won
    control = data.verdicts["nfe4"].champion
    assert found.certainty == f"an earlier decision: of what is measured now {control} would hold it"
    proved = found.entry.row.certificate_at_most_nats
    assert proved is not None
    text = html(data, samples=False).split('<section id="use"')[1].split("</section>")[0]
    assert f"so at most {proved:.3g} nat" in text
    assert f"Its distribution is at most {proved:.3g} nat" in text


def test_an_entropy_that_differs_is_said_beside_the_errors(data: PageData) -> None:
    [found] = recommendations(data)
    assert found.plain is not None
    for entropy, note in ((-0.05, "entropy 0.050 nat lower"), (0.3, "entropy 0.300 nat higher"), (0.01, "")):
        assert dataclasses.replace(found.plain, entropy=entropy).note == note


def test_the_first_screen_answers_what_how_much_how_sure_and_how_to_load(data: PageData, page: str) -> None:
    first = page.split('<section id="use"')[1].split("</section>")[0]
    before = page.split('<section id="use"')[0]
    assert "<section" not in before.split("<body>")[1]
    [found] = recommendations(data)
    assert found.plain is not None
    row = first.split("<tbody")[1].split("</tbody>")[0]
    for said in (found.entry.row.label, f"{found.plain.ratio} times", found.plain.interval, found.certainty):
        assert said in row
    assert ASKED in row
    assert f'load_sampler("models:/{NAME}@nfe4")' in first
    assert interval_text(*_numbers(found.entry.row.primary)) in first


def test_a_sampler_without_a_certificate_says_none(data: PageData) -> None:
    entries = tuple(
        dataclasses.replace(entry, row=dataclasses.replace(entry.row, certificate_value_nats=None))
        for entry in data.entries
    )
    text = html(dataclasses.replace(data, entries=entries), samples=False)
    assert "<dt>certificate_value_nats</dt><dd>none</dd>" in text


def test_losses_are_listed_and_refusals_with_one_reason_are_one_line(data: PageData, page: str) -> None:
    verdict = data.verdicts["nfe4"]
    refused = [guarded for guarded in verdict.guarded if not guarded.passes]
    assert len(refused) > 1
    listed = page.split('<ul class="losses">')[1].split("</ul>")[0]
    reasons = {guarded.sentence.removeprefix(guarded.candidate) for guarded in refused}
    assert listed.count("cannot win") == len(reasons) < len(refused)
    assert all(guarded.candidate in listed for guarded in refused)


def test_the_check_boxes_hide_marks_legends_and_figures_as_they_hide_rows(data: PageData, page: str) -> None:
    boxes = page.split('<fieldset class="controls filters">')[1].split("</fieldset>")[0]
    method = boxes.index("path_kl")
    name = boxes[:method].rsplit('class="v', 1)[1].split('"')[0]
    assert f"body:has(.v{name}:not(:checked)) .f{name}{{display:none}}" in page
    learned = page.split('<section id="learned">')[1].split("</section>")[0]
    for words in (f"c-path_kl open f{name} f2-", f'<span class="f{name} f2-'):
        assert words in learned
    assert page.count('<figure class="f0-0') >= 3


def test_registry_page_results_and_descriptions_say_the_same_numbers(
    published_home: Path, data: PageData, page: str
) -> None:
    uri = f"sqlite:///{published_home}/mlflow.db"
    versions = list_versions(NAME, tracking_uri=uri)
    assert len(versions) >= 4
    sink = io.StringIO()
    Console(file=sink, width=200).print(samplers_table(NAME, versions))
    table = _by_version(sink.getvalue(), [len(version["aliases"]) for version in versions])
    grid = load_grid(str(ROOT / "tests" / "published" / "orders.yaml"))
    results = block(grid, "lsd grid orders", grid_pages(data.store, grid), "r").splitlines()
    cells = [[cell.strip() for cell in line.split("|")] for line in results if line.startswith("| 4 ")]
    compared = 0
    for version in versions:
        same = [
            e
            for e in data.entries
            if version["sampler"] in e.row.samplers
            and e.spec.method == version["method"]
            and e.row.mean == version["primary"]
        ]
        if not same:  # measured otherwise
            continue
        row, compared = same[0].row, compared + 1
        error, entropy = short(row.mean), entropy_text(row.entropy)
        assert error in table[str(version["version"])]
        assert entropy in table[str(version["version"])]
        whole = interval_text(*_numbers(row.primary))
        assert whole.startswith(error)
        assert f"<td>{whole}</td>" in page
        described = describe(same[0].card, version["uri"])
        assert f"**{whole}**" in described
        assert f"{entropy} nat" in described
        mine = [cell for cell in cells if whole in cell]
        assert all(entropy in cell for cell in mine)
    assert compared >= 4
    chosen = pick(NAME, max_nfe=4, tracking_uri=uri)
    champion = data.champion(4)
    assert champion is not None
    said = in_words(chosen)
    assert (
        f"error {short(champion.row.mean)}, unigram_entropy {entropy_text(champion.row.entropy)} nat" in said
    )
    assert any(
        f"**{champion.row.label}**" in cell[2] and short(champion.row.mean) in cell[4] for cell in cells
    )


def _by_version(text: str, aliases: list[int]) -> dict[str, list[str]]:
    """The cells of each line of `lsd samplers`, by the version, which stands before the aliases."""
    lines = [line.split() for line in text.splitlines() if line.strip().startswith("4 ")]
    return {line[-1 - names]: line for line, names in zip(lines, aliases, strict=True)}


def _numbers(metric: Metric) -> tuple[float | None, float | None, float | None]:
    return metric.mean, metric.low, metric.high
