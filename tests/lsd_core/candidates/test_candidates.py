"""A candidate's results survive the store, its card ships the median seed, and cooling keeps diversity."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.candidates import CandidateSpec, EvaluationSpec
from lsd_core.candidates.make_card import make_card
from lsd_core.candidates.results import Measurement, Results
from lsd_core.candidates.temperature import choose_temperature
from lsd_core.candidates.work import learn, measure, table_index
from lsd_core.cards import BackboneRef, SamplerCard
from lsd_core.distillation.learned import Learned
from lsd_core.samplers import StepTable, uniform_times
from lsd_core.storage.store import Store

BACKBONE = exact_backbone("countdown-exact", 16)
EVALUATION = EvaluationSpec(
    task="countdown", samples=8, selection_samples=4, seeds=3, batch=4, temperatures=(1.0, 0.8, 0.5)
)


def spec_of(method: str = "plain", sampler: str = "euler", nfe: int = 4) -> CandidateSpec:
    return CandidateSpec(
        backbone=BackboneRef(name="countdown-exact", fingerprint=BACKBONE.fingerprint, family="markov"),
        process=BACKBONE.process.to_dict(),
        length=16,
        sampler=sampler,
        method=method,
        nfe=nfe,
        method_config={},
        teacher=None,
        trajectories=None,
        evaluation=EVALUATION,
        seed=0,
    )


def measurement(error: float, entropy: float, size: int = 8) -> Measurement:
    return Measurement(
        metrics={"error": error, "unigram_entropy": entropy, "nll": float("inf")},
        calls_mean=3.5,
        calls_max=4,
        scores=np.full(size, error),
    )


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    results = Results(Store(str(tmp_path / "store")), spec_of())
    table = Learned(
        table=uniform_times(4), sequences=7, history={"gains": [[1.0, 2.0]]}, diagnostics={"a": 1}
    )
    results.write_learned(1, table)
    assert results.read_learned(1) == table
    written = measurement(0.25, 3.3)
    results.write_measurement("report", 2, 0.8, written)
    read = results.read_measurement("report", 2, 0.8)
    assert results.read_measurement("report", 2, 0.8) is read  # one request, however often it is asked for
    assert np.array_equal(read.scores, written.scores)
    assert (read.metrics["error"], read.calls_mean, read.calls_max) == (0.25, 3.5, 4)
    assert np.isnan(read.metrics["nll"])  # what is not finite is not passed off as a number


def test_a_card_ships_the_median_seed_of_the_selection_and_reports_all(tmp_path: Path) -> None:
    tables = [Learned(table=uniform_times(4).with_gains(1.0 + k), sequences=1) for k in range(3)]
    selection = [measurement(error, 3.3, 4) for error in (0.3, 0.1, 0.2)]
    report = [measurement(error, 3.3) for error in (0.2, 0.4, 0.3)]
    card = make_card(spec_of(), tables, {"selection": selection, "report": report}, None, {"device": "cpu"})
    assert card.seed == 2
    assert card.table.gains == (3.0,) * 4
    assert card.primary.mean == pytest.approx(0.3)
    assert card.primary.per_seed == (0.2, 0.4, 0.3)
    assert SamplerCard.from_json(card.to_json()) == card


def test_a_card_says_what_learning_its_table_took_and_what_of_it_was_shared() -> None:
    measured = {part: [measurement(0.1, 3.3)] for part in ("selection", "report")}
    table, spec = uniform_times(4), replace(spec_of(), evaluation=replace(spec_of().evaluation, seeds=1))
    files = {"costs/a.json": 30, "costs/b.json": 12}
    learned = Learned(table=table, sequences=50, diagnostics={"shared_costs": files})
    card, without = (
        make_card(spec, [each], measured, None, {}) for each in (learned, Learned(table=table, sequences=50))
    )
    assert card.learning == {"sequences": 50, "shared": 42}
    assert SamplerCard.from_json(card.to_json()) == card
    assert without.learning is None
    assert "learning" not in without.to_json()  # as cards of earlier versions


@pytest.mark.parametrize(("entropies", "chosen"), [((3.3, 3.29, 3.1), 0.8), ((3.3, 3.2, 3.1), 1.0)])
def test_cooling_stops_where_diversity_goes(
    tmp_path: Path, entropies: tuple[float, float, float], chosen: float
) -> None:
    results = Results(Store(str(tmp_path / "store")), spec_of())
    results.write_learned(0, Learned(table=uniform_times(4), sequences=0))
    for temperature, entropy in zip((1.0, 0.8, 0.5), entropies, strict=True):
        for which in range(3):
            results.write_measurement(
                "selection", which, temperature, measurement(0.1 * temperature, entropy, 4)
            )
    assert choose_temperature(results).table == uniform_times(4).with_gains(1 / chosen)


def test_a_control_is_measured_with_its_one_table_and_within_budget() -> None:
    spec = spec_of()
    learned = learn(spec, 0, BACKBONE, None)
    assert learned.table == uniform_times(4)
    assert [table_index(spec, which) for which in range(3)] == [0, 0, 0]
    result = measure(spec, "report", 1, 1.0, learned, BACKBONE)
    assert len(result.scores) == 8
    assert result.calls_max <= 4
    assert result.metrics["error"] == pytest.approx(result.scores.mean())
    again = measure(spec, "report", 1, 1.0, learned, BACKBONE)
    other = measure(spec, "selection", 1, 1.0, learned, BACKBONE)
    assert np.array_equal(again.scores, result.scores)
    assert len(other.scores) == 4
    assert not np.array_equal(other.scores, result.scores[:4])  # other seeds than those reported


def test_a_temperature_divides_the_gains() -> None:
    cold = Learned(table=StepTable(counts=(16, 8, 0), gains=(1.0, 2.0)), sequences=0)
    by_temperature = measure(spec_of(nfe=2), "report", 0, 0.5, cold, BACKBONE)
    hot = Learned(table=StepTable(counts=(16, 8, 0), gains=(2.0, 4.0)), sequences=0)
    by_gain = measure(spec_of(nfe=2), "report", 0, 1.0, hot, BACKBONE)
    assert np.array_equal(by_temperature.scores, by_gain.scores)


def test_samplers_with_one_law_share_their_work_but_not_their_card() -> None:
    euler, tweedie, counts = (spec_of(sampler=name) for name in ("euler", "tweedie", "fixed_counts"))
    assert tweedie.work == euler
    assert tweedie.key != euler.key
    assert counts.work == counts
