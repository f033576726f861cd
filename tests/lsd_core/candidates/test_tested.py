"""What promotion tests is what ships: the samples of one table, on every report seed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.candidates import CandidateSpec, EvaluationSpec, tested
from lsd_core.candidates.results import Measurement, Results
from lsd_core.candidates.teacher import teacher_spec
from lsd_core.candidates.tested import Tested, lacking, measured_key, read_tested, shipped_run
from lsd_core.candidates.work import measure
from lsd_core.cards import BackboneRef
from lsd_core.distillation.learned import Learned
from lsd_core.errors import InputError
from lsd_core.samplers import uniform_times
from lsd_core.storage.store import Store

BACKBONE = exact_backbone("countdown-exact", 16)
TEACHER = teacher_spec(BACKBONE, method="exact", steps=None, batch=8, shard_rows=8, seed=0)
EVALUATION = EvaluationSpec(task="countdown", samples=8, selection_samples=8, seeds=3, batch=8)


def results_of(tmp_path: Path, method: str = "lsd", **evaluation: object) -> Results:
    spec = CandidateSpec(
        backbone=BackboneRef(name="countdown-exact", fingerprint=BACKBONE.fingerprint, family="markov"),
        process=BACKBONE.process.to_dict(),
        length=16,
        sampler="euler",
        method=method,
        nfe=4,
        method_config={},
        teacher=None,
        trajectories=None,
        evaluation=replace(EVALUATION, **evaluation),
        seed=0,
    )
    results = Results(Store(str(tmp_path / "store")), spec)
    for which, error in enumerate((0.3, 0.1, 0.2)):
        results.write_measurement("selection", which, 1.0, measurement(error))
    return results


def measurement(error: float) -> Measurement:
    return Measurement(metrics={"error": error}, calls_mean=4.0, calls_max=4, scores=np.full(8, error))


def test_the_table_that_ships_is_tested_on_every_report_seed(tmp_path: Path) -> None:
    results = results_of(tmp_path)
    assert shipped_run(results) == 2  # the median on selection samples
    assert tested.tested_at(results, 1.0) == [
        Tested(part="shipped", which=0),
        Tested(part="shipped", which=1),
        Tested(part="report", which=2),
    ]


def test_a_lucky_replicate_that_does_not_ship_is_not_tested(tmp_path: Path) -> None:
    results = results_of(tmp_path)
    for which, error in enumerate((0.0, 0.0, 0.2)):  # two replicates without errors, and the one that ships
        results.write_measurement("report", which, 1.0, measurement(error))
    for which in (0, 1):
        results.write_measurement("shipped", which, 1.0, measurement(0.2))
    tested = read_tested(results, 1.0)
    assert [found.metrics["error"] for found in tested] == [0.2, 0.2, 0.2]


def test_samples_of_the_shipped_table_are_those_of_the_report_seed(tmp_path: Path) -> None:
    spec = results_of(tmp_path).spec
    assert spec.sampling_seed("shipped", 1) == spec.sampling_seed("report", 1)
    learned = Learned(table=uniform_times(4).with_gains(2.0), sequences=0)
    shipped, report = (measure(spec, part, 1, 1.0, learned, BACKBONE) for part in ("shipped", "report"))
    assert np.array_equal(shipped.scores, report.scores)
    assert shipped.across is not None
    assert len(shipped.across.coincidence[16]) == 8


def test_what_a_store_lacks_is_named_until_it_is_there(tmp_path: Path) -> None:
    results = results_of(tmp_path, "plain", temperatures=(1.0, 0.8))
    store = results.store
    for which in range(3):  # what an earlier version left: no statistics across samples
        for temperature in (1.0, 0.8):
            results.write_measurement("report", which, temperature, measurement(0.1))
    missing = lacking(results, set(store.list("cells")))
    assert missing == [Tested(part="report", which=which) for which in range(3)]
    before = store.read_bytes(results.measurement_key("report", 0, 1.0))
    measured = measure(results.spec, "report", 0, 1.0, Learned(table=uniform_times(4), sequences=0), BACKBONE)
    results.write_across("report", 0, measured)
    assert store.read_bytes(results.measurement_key("report", 0, 1.0)) == before
    assert len(lacking(results, set(store.list("cells")))) == 2
    read, made = results.read_across("report", 0), measured.across
    assert read is not None
    assert made is not None
    assert set(read.places) == {"position", "start"}
    assert all(np.array_equal(read.coincidence[size], made.coincidence[size]) for size in made.coincidence)
    assert all(np.array_equal(read.places[name], made.places[name]) for name in made.places)
    assert measured_key(results, missing[0]).endswith("-across.parquet")


def test_teachers_are_keyed_with_the_metrics_asked_of_them(tmp_path: Path) -> None:
    spec = replace(results_of(tmp_path).spec, teacher=TEACHER, trajectories=8)
    asked = replace(spec, evaluation=replace(spec.evaluation, metrics=("distinct",)))
    store = Store(str(tmp_path / "store"))
    assert Results(store, spec).teacher_key == f"cells/teacher-{TEACHER.hash}-8-countdown.json"  # as ever
    assert Results(store, asked).teacher_key != Results(store, spec).teacher_key


def test_a_certificate_of_one_path_is_refused_before_any_work() -> None:
    with pytest.raises(InputError, match="certificate_paths must be 0, or at least 2"):
        replace(EVALUATION, certificate_paths=1)


def test_what_was_not_measured_is_none_and_what_lost_its_scores_is_refused(tmp_path: Path) -> None:
    spec = replace(results_of(tmp_path).spec, teacher=TEACHER, trajectories=8)
    results = Results(Store(str(tmp_path / "store")), spec)
    assert results.read_teacher() is None
    assert results.read_teacher_across() is None
    results.write_teacher(measurement(0.1))
    found = results.read_teacher()
    assert found is not None
    assert found.metrics == {"error": 0.1}
    results.store.delete(results.teacher_key.replace(".json", ".parquet"))
    assert results.read_teacher() is found  # read lately
    results.store.memory.clear()
    with pytest.raises(InputError, match=r"parquet must exist"):
        results.read_teacher()
