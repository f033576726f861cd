"""What the report says is what was measured, it needs nothing else, and it is filed where people look."""

import csv
import dataclasses
import io
import re

import pytest
from mlflow import MlflowClient

from flows.pipeline.timing import Timing, Took, seconds_under
from flows.report import figures
from flows.report.candidates_on_store import specs_on
from flows.report.charts import axis
from flows.report.html_page import html, numbers
from flows.report.page_data import PageData, make_page_data
from flows.report.palette import classes, style_sheet
from flows.report.publish import report_backbone, report_run
from flows.report.verdict_text import findings, speed_ups, summary
from lsd_core.distillation.methods import METHODS
from lsd_core.errors import InputError


@pytest.fixture(scope="session")
def data(done) -> PageData:
    """What the store tells of the small grid."""
    specs, left_out = specs_on(done.run.store, "countdown")
    assert left_out == 0
    return make_page_data(done.run.store, specs)


@pytest.fixture(scope="session")
def page(data) -> str:
    return html(data)


def test_the_store_alone_tells_what_the_grid_knows(done, data):
    assert {entry.spec.key for entry in data.entries} == {spec.key for spec in done.run.plan.work}
    held = {alias for entry in data.entries for alias in entry.row.aliases}
    assert held == set(done.outcome.verdicts["countdown"])
    for alias, verdict in data.verdicts.items():
        assert verdict == done.outcome.verdicts["countdown"][alias]


def test_one_law_is_told_once_under_both_names(data):
    by_label = {entry.row.label: entry.row.samplers for entry in data.at(4)}
    assert by_label["plain, euler"] == ("euler", "tweedie")
    assert by_label["plain, halton"] == ("halton",)
    assert by_label["theta_trapezoidal"] == ("theta_trapezoidal",)


def test_a_cells_champion_is_held_against_its_own_controls_and_the_budgets_against_all(done):
    verdicts = done.outcome.verdicts["countdown"]
    held = {
        alias: {c.control for c in verdicts[alias].comparisons}
        for alias in ("nfe4", "nfe4-euler", "nfe4-halton")
    }
    assert {"plain (euler)", "plain (halton)"} <= held["nfe4"]
    for sampler, other in (("euler", "halton"), ("halton", "euler")):
        against = held[f"nfe4-{sampler}"]
        assert {f"plain ({sampler})", "theta_trapezoidal (theta_trapezoidal)"} <= against
        assert f"plain ({other})" not in against


def test_plain_steps_are_eulers_whoever_is_better(data):
    for nfe in data.budgets:
        assert data.baseline(nfe).row.samplers == ("euler", "tweedie")


def test_a_method_keeps_its_colour_and_another_base_sampler_has_open_marks(data, page):
    tint = classes(data.rows)
    assert (tint["path_kl, euler"], tint["path_kl, halton"], tint["lsd"]) == (
        "path_kl",
        "path_kl open",
        "lsd",
    )
    assert 'class="dot c-path_kl open f' in page
    assert "Open marks: another base sampler" in page
    style = style_sheet(METHODS)
    for method in METHODS:
        assert style.count(f"--{method}:#") == 2  # by day and by night


def test_a_bound_names_what_it_is_a_distance_from(data):
    told = {finding.nfe: " ".join(finding.sentences) for finding in findings(data)}
    for nfe in data.budgets:
        best = data.champion(nfe)
        if best.card.certificate is not None:
            assert f"nat from that of {best.card.certificate['reference']}" in told[nfe]


def test_the_page_needs_nothing_else(page):
    assert not re.search(r"https?://|<script|<link(?! rel=\"icon\" href=\"data:)|@import|url\(", page)
    assert {match for match in re.findall(r"(?:src|href)=\"(\w+:)", page)} <= {"data:"}


def test_every_number_of_a_card_is_on_the_page_and_in_the_table(data, page):
    rows = list(csv.DictReader(io.StringIO(numbers(data))))
    assert len(rows) == len(data.entries)
    for row, entry in zip(rows, data.entries, strict=True):
        assert float(row["error"]) == entry.card.primary.mean
        assert float(row["unigram_entropy"]) == entry.card.diversity.mean
        assert f"{entry.card.primary.mean:.4g}" in page
    for alias in ("nfe2", "nfe4"):
        assert f'load_sampler("models:/countdown@{alias}")' in page


def test_equal_results_give_equal_bytes(data, page):
    assert html(data) == page


def test_the_speed_up_is_where_plain_steps_reach_the_error(data):
    plain = {nfe: data.baseline(nfe).card.primary.mean for nfe in (2, 4)}
    for found in speed_ups(data):
        error, nfe = found.entry.card.primary.mean, found.entry.spec.nfe
        if error < plain[4]:
            assert (found.reach.side, found.factor) == ("beyond", 4 / nfe)
        elif error >= plain[2]:
            assert (found.reach.side, found.factor) == ("below", 2 / nfe)


def test_losses_are_told_as_plainly_as_wins(done, data):
    told = {finding.nfe: " ".join(finding.losses) for finding in findings(data)}
    lost = 0
    for nfe in data.budgets:
        for comparison in data.verdicts[f"nfe{nfe}"].comparisons:
            lost += not comparison.wins
            assert (comparison.sentence in told[nfe]) is not comparison.wins
    assert lost > 0  # lsd at three epochs beats nobody
    beaten = {alias: dataclasses.replace(verdict, won=False) for alias, verdict in data.verdicts.items()}
    text = summary(dataclasses.replace(data, verdicts=beaten))
    assert text == "No learned sampler beats the controls: they keep nfe2 and nfe4."


def test_a_metric_that_moved_away_from_the_teacher_is_a_loss(data):
    best, plain = data.champion(4), data.baseline(4)
    assert best is not None
    assert plain is not None
    if best is plain:
        pytest.skip("plain steps hold the alias")
    metrics = dict(best.row.metrics)
    metrics["start_tv"] = metrics["start_tv"].model_copy(update={"mean": 0.9})
    worse = dataclasses.replace(best, row=dataclasses.replace(best.row, metrics=metrics))
    changed = dataclasses.replace(data, entries=tuple(worse if e is best else e for e in data.entries))
    [finding] = [found for found in findings(changed) if found.nfe == 4]
    assert any("start_tv (0.9 against" in loss for loss in finding.losses)


def test_gains_by_epoch_are_those_that_were_learned(data):
    [lsd] = [entry for entry in data.at(4) if entry.spec.method == "lsd"]
    paths = figures.gains_by_epoch(lsd)
    assert [path.shape for path in paths] == [(3, 4), (3, 4)]
    for path, table in zip(paths, lsd.tables, strict=True):
        assert path[-1].tolist() == list(table.table.gains)
    assert len(figures.journeys(data)) == 2
    assert all(figures.gains_by_epoch(e) == [] for e in data.entries if e.spec.method != "lsd")


def test_words_from_outside_are_escaped(data):
    entry = data.entries[0]
    entry = dataclasses.replace(
        entry, row=dataclasses.replace(entry.row, label="<img src=x onerror=alert(1)>")
    )
    hostile = dataclasses.replace(
        data, entries=(entry, *data.entries[1:]), failures={"<b>x</b>": "</style><script>1</script>"}
    )
    text = html(hostile, samples=False)
    assert "<img src=x" not in text
    assert "<script>" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_small_sizes_say_so(data, page):
    assert "24 samples x 2 seeds are too few for claims: have at least 1024 x 3." in page


def test_the_report_is_filed_once_and_can_be_found(done, tmp_path):
    [page] = report_run(done.run, done.outcome)
    assert [file.name for file in page.files] == ["countdown.html", "countdown.csv", "countdown.png"]
    assert page.link == page.files[0].as_uri()
    client = MlflowClient(done.tracking_uri, done.tracking_uri)
    assert {file.path for file in client.list_artifacts(page.run_id)} == {file.name for file in page.files}
    assert report_run(done.run, done.outcome)[0].run_id == page.run_id
    from_store = report_backbone("countdown", done.run.settings, tmp_path)
    assert from_store.files[0].parent == tmp_path


def test_an_unknown_backbone_lists_the_known(done):
    with pytest.raises(
        InputError, match="backbone must be one of those on the store: countdown, got countup"
    ):
        report_backbone("countup", done.run.settings)


@pytest.mark.parametrize(("low", "high"), [(3.2, 3.5), (1.0, 2.4), (0.9, 70.0), (0.003, 0.4), (11.2, 11.9)])
def test_every_axis_can_be_read(low, high):
    for kind in ("linear", "log"):
        found = axis([low, high], "x", kind)
        assert found.low < low < high < found.high
        assert 2 <= len(found.ticks) <= 7
        assert all(found.low <= tick <= found.high for tick in found.ticks)
        assert found.share(high) - found.share(low) > 0.8  # what is shown fills it


def test_a_figure_of_gains_is_drawn_only_where_there_are_any(data):
    with_gains = len(figures.tables(data.rows, classes(data.rows)))
    assert with_gains == 2 * len(data.budgets)
    controls = tuple(entry for entry in data.entries if not entry.row.learned)
    assert len(figures.tables([entry.row for entry in controls], classes(data.rows))) == len(data.budgets)


def test_the_page_tells_the_seconds_of_each_method(done, data, page):
    assert "seconds to learn" not in page  # the store alone knows no clock
    report_run(done.run, done.outcome)
    known = seconds_under(done.run.settings.reports)
    timed = html(dataclasses.replace(data, seconds=known))
    assert "seconds to learn" in timed
    drawn = 0
    for entry in data.entries:
        took = known.get(entry.spec.work.key, Took())
        assert (took.a_table_s is None) == (entry.spec.method == "temperature")
        if took.sequences < 4 * 24:  # two parts, two seeds
            assert shares_a_table(entry, data.entries)  # those samples were drawn for the other
        else:
            drawn += 1
            assert f"<td>{took.a_thousand_s:.3g}</td>" in timed
    assert drawn > len(data.entries) / 2


def shares_a_table(entry, entries):
    """Whether another candidate of the same base sampler learned one of its tables."""
    own = [table.table for table in entry.tables]
    others = (e for e in entries if e is not entry and e.spec.sampler == entry.spec.sampler)
    return any(table.table in own for other in others for table in other.tables)


def test_seconds_outlive_a_run_that_found_everything_done(tmp_path):
    Timing(candidates={"a": Took(4.0, 2, 3.0, 1500), "b": Took()}).write_candidates(tmp_path / "grid")
    Timing(candidates={"b": Took(1.0, 1, 0.0, 0)}).write_candidates(tmp_path / "grid")
    known = seconds_under(tmp_path)
    assert (known["a"].a_table_s, known["a"].a_thousand_s) == (2.0, 2.0)
    assert (known["b"].a_table_s, known["b"].a_thousand_s) == (1.0, None)
    (tmp_path / "grid" / "seconds.json").write_text("{")
    assert seconds_under(tmp_path) == {}


def test_what_a_certificate_proves_is_its_value_and_two_standard_errors(data, page):
    told = {finding.nfe: " ".join(finding.sentences) for finding in findings(data)}
    certified = 0
    for nfe in data.budgets:
        row, certificate = data.champion(nfe).row, data.champion(nfe).card.certificate
        if certificate is not None:
            certified += 1
            proved = certificate["value_nats"] + 2 * certificate["standard_error"]
            assert certificate["standard_error"] > 0
            assert row.certificate_at_most_nats == proved
            assert f"at most {proved:.3g} nat from that of" in told[nfe]
            assert f"so at most {proved:.3g}" in page
    assert certified > 0
    assert "certificate_reference" in page  # orders differ, so each row names its own


def test_every_comparison_is_a_row_of_one_table_and_no_paragraph(data, page):
    made = [comparison for verdict in data.verdicts.values() for comparison in verdict.comparisons]
    table = page.split('aria-label="comparisons"')[1].split("</table>")[0]
    body = table.split("<tbody")[1]
    assert body.count("<tr") == len(made) > 0
    assert body.count("<td>wins</td>") == sum(comparison.wins for comparison in made)
    for comparison in made:
        assert comparison.sentence not in page
        if comparison.difference is not None:
            assert f"<td>{comparison.difference:+.4g}</td>" in body


def test_a_frontier_is_a_line_along_the_temperatures_with_a_band_of_intervals(data):
    swept = [entry for entry in data.at(4) if entry.sweep]
    assert {entry.spec.method for entry in swept} >= {"plain"}
    shapes = figures.frontiers(data)[data.budgets.index(4)].shapes
    for entry in swept:
        assert len(entry.sweep) == len(entry.spec.evaluation.temperatures)
        assert all(row.primary.low is not None for row in entry.sweep)
    names = [shape.css.split()[0] for shape in shapes]
    assert names.count("band") == names.count("line") == len(swept)
