"""A driver's work grows in proportion: requests, reads and calls for a grid and for one several times as large."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flows.bench import driver_work, simulated
from flows.bench.driver_work import Workers
from flows.pipeline.driver import teach
from flows.pipeline.plan import Plan, make_plan
from flows.pipeline.progress import LogProgress
from flows.pipeline.register_cards import promote_champions
from flows.pipeline.run import Run
from flows.pipeline.scheduler import Piece, Scheduler, Steps
from flows.pipeline.site import Site, places_of
from flows.pipeline.teachers import Survey, Tally
from flows.report.png import MOST, sheet, write_png
from flows.report.shapes import Drawing
from flows.report.sortable_table import Cell, Line, SortableTable
from flows.report.table_rows import Row, distinct
from lsd_core.candidates.results import Results
from lsd_core.storage.store import Store
from lsd_core.trajectories.write import ShardRecord
from tests.flows.counting import calls_of
from workers.jobs import ShardJob
from workers.worker import ShardDone

FEW, MANY = 20, 40  # cells
PROPORTION = 1.15  # by which a count may exceed that of so many times the work


def in_proportion(few: int, many: int, times: float) -> bool:
    return few > 0 and many <= PROPORTION * times * few


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, str]]:
    """How often each key was asked of stores, by kind of request."""
    found = Counter[tuple[str, str]]()

    def counted(kind: str) -> None:
        ask = getattr(Store, kind)

        def count(store: Store, key: str = "") -> Any:
            found[kind, key] += 1
            return ask(store, key)

        monkeypatch.setattr(Store, kind, count)

    for kind in ("list", "read_bytes", "exists", "modified"):
        counted(kind)
    return found


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[Path, Plan]]:
    """Folders of two grids that are done, and their plans."""
    found = {}
    for cells in (FEW, MANY):
        folder = tmp_path_factory.mktemp(f"cells{cells}")
        simulated.fill(folder, cells)
        store = simulated.Unsynced(str(folder))
        plan = make_plan(simulated.config_of(cells), store, simulated.load)
        for spec in plan.candidates:
            driver_work.write_card(Results(store, spec))
        found[cells] = folder, plan
    return found


def requests(asked: Counter[tuple[str, str]], work: Callable[[], Any]) -> Counter[tuple[str, str]]:
    """Those that lie in `cells`."""
    asked.clear()
    work()
    return Counter({each: times for each, times in asked.items() if each[1].startswith("cells")})


def test_cards_and_measurements_are_found_in_one_listing_and_each_file_is_read_once(
    filled: dict[int, tuple[Path, Plan]], asked: Counter[tuple[str, str]]
) -> None:
    for folder, plan in filled.values():
        made = requests(asked, lambda folder=folder, plan=plan: driver_work.found(plan, folder))  # type: ignore[misc]
        assert made.pop(("list", "cells")) == 1
        assert {kind for kind, _ in made} == {"read_bytes"}
        twice = {key for (_, key), times in made.items() if times > 1}
        assert twice == {f"{spec.folder}/card.json" for spec in plan.candidates}
        assert max(made.values()) == 2  # checked, and then held by the run
        assert {key for _, key in made} == set(Store(str(folder)).list("cells"))


def test_promotion_reads_each_file_once_and_looks_for_none(
    filled: dict[int, tuple[Path, Plan]], asked: Counter[tuple[str, str]]
) -> None:
    numbers = {}
    for cells, (folder, plan) in filled.items():
        run = driver_work.found(plan, folder)
        run.store.memory.clear()
        made = requests(asked, lambda run=run: driver_work.decided(run))  # type: ignore[misc]
        assert {kind for kind, _ in made} == {"read_bytes"}
        assert set(made.values()) == {1}
        numbers[cells] = len(made)
    assert in_proportion(numbers[FEW], numbers[MANY], MANY / FEW)


def test_a_run_of_one_cell_lists_its_own_files_and_no_others(
    filled: dict[int, tuple[Path, Plan]], asked: Counter[tuple[str, str]]
) -> None:
    folder, plan = filled[MANY]
    cell = plan.cells[0]
    alone = Site(Store(str(folder)), alone=places_of(cell.specs))
    made = requests(asked, lambda: alone.present)
    assert set(made) == {("list", place) for place in places_of(cell.specs)}
    own = {key for key in Site(Store(str(folder))).present if key.startswith(tuple(places_of(cell.specs)))}
    assert alone.present == own
    assert len([key for key in own if key.endswith("card.json")]) == len(cell.specs)


class Counted(list[Any]):
    """A list that counts how many of its items were gone through."""

    passed = 0

    def __iter__(self) -> Iterator[Any]:
        for item in super().__iter__():
            self.passed += 1
            yield item


def test_learners_find_their_teachers_in_one_pass() -> None:
    plan = make_plan(simulated.config_of(MANY), load=simulated.load)
    surveys = [Survey(teacher, {}, range(1)) for teacher in plan.teachers]
    learners = Counted(spec for spec in plan.candidates if spec.teacher is not None)
    pieces, jobs = teach(Site(Store("nowhere"), alone=frozenset({"none"})), surveys, learners)
    assert len(pieces) == len(plan.backbones)
    assert len(jobs) == 2 * len(plan.backbones)  # a shard, and what the teacher's own sequences score
    assert learners.passed == len(learners)


def test_an_alias_looks_for_failed_controls_in_its_own_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    def looks(cells: int) -> int:
        plan = make_plan(simulated.config_of(cells), load=simulated.load)
        failures = {spec.work.key: "no reason" for spec in plan.candidates}
        some = {spec.key: None for spec in plan.candidates if spec.nfe == simulated.BUDGETS[0]}
        run = Run(plan, None, Store("nowhere"), cards=some, failures=failures)  # type: ignore[arg-type]
        monkeypatch.setattr(Run, "failed", lambda run, spec: bool(count.update("x")) or True)
        monkeypatch.setattr("flows.pipeline.register_cards.rows_of", lambda *given: [])
        count.clear()
        promote_champions(run)
        return count.total()

    count = Counter[str]()
    few, many = looks(FEW), looks(4 * FEW)
    assert many == 4 * few


def job(number: int) -> ShardJob:
    return ShardJob(teacher=None, shard=number)  # type: ignore[arg-type]


def cells_after_teachers(teachers: int, cells_each: int = 5) -> list[Piece]:
    def steps() -> Steps:
        yield [job(0), job(1)]
        yield [job(2)]

    first = [Piece(f"teacher {number}", steps, kind="teacher") for number in range(teachers)]
    return [*first, *(Piece("cell", steps, after=(each,)) for each in first for _ in range(cells_each))]


@pytest.mark.parametrize("workers", [1, 8])
def test_a_job_is_scheduled_at_the_same_cost_however_many_pieces_there_are(workers: int) -> None:
    def work(teachers: int) -> Callable[[], None]:
        pieces, pool = cells_after_teachers(teachers), Workers(workers)

        @contextmanager
        def opened() -> Iterator[Any]:
            yield pool

        return lambda: Scheduler(pieces, LogProgress(lambda line: None)).run(opened)

    work(1)()
    few, many = (calls_of(work(teachers)) for teachers in (10, 80))
    assert in_proportion(few, many, 8)


def test_a_shard_is_tallied_at_the_same_cost_however_many_came_before() -> None:
    done = ShardDone(
        record=ShardRecord(0, "0" * 64, "key", 4, 2), generate_s=1.0, commit_s=1.0, device_kind="a"
    )

    def work(shards: int) -> None:
        tally = Tally()
        for _ in range(shards):
            tally.add(done)
            assert tally.note

    few, many = (calls_of(lambda n=n: work(n)) for n in (20, 160))  # type: ignore[misc]
    assert in_proportion(few, many, 8)


LOOKED = Counter[str]()


@dataclass(frozen=True, kw_only=True, eq=False)
class Looked(Row):
    """A row that counts how often its method is looked at."""

    def __getattribute__(self, name: str) -> Any:
        if name == "method":
            LOOKED["method"] += 1
        return super().__getattribute__(name)


def test_a_row_is_labelled_by_those_of_its_name_and_budget_alone() -> None:
    def looks(budgets: int) -> int:
        rows = [
            Looked(
                backbone="b",
                nfe=nfe,
                sampler=sampler,
                method=method,
                primary_metric="error",
                diversity_metric="entropy",
                metrics={},
                work=f"{nfe} {sampler} {method}",
                samplers=(sampler,),
            )
            for nfe in range(1, budgets + 1)
            for sampler in ("euler", "halton")
            for method in ("plain", "lsd")
        ]
        LOOKED.clear()
        assert len({(row.nfe, row.label) for row in distinct(rows)}) == len(rows)
        return LOOKED["method"]

    few, many = looks(8), looks(64)
    assert in_proportion(few, many, 8)


def test_a_line_of_a_table_is_styled_at_the_same_cost_however_many_there_are() -> None:
    def work(lines: int) -> None:
        cells = [(Cell(str(number), number), Cell("x", None)) for number in range(lines)]
        table = SortableTable("t", ("a", "b"), tuple(Line(each, ()) for each in cells), (0, 1))
        assert table.style(table.lines[8]) == "--s0:8;--s1:0"
        for line in table.lines:
            table.style(line)

    work(20)
    few, many = (calls_of(lambda n=n: work(n)) for n in (20, 160))  # type: ignore[misc]
    assert in_proportion(few, many, 8)


def drawings(made: list[int]) -> Iterator[Drawing]:
    for number in range(10 * MOST):
        made.append(number)
        yield Drawing((), 4, 4, "")


def test_charts_that_no_sheet_has_room_for_are_not_made(tmp_path: Path) -> None:
    made = list[int]()
    found: Sequence[Drawing] = sheet(drawings(made))
    assert len(made) == len(found) == MOST + 1
    write_png(found, tmp_path / "many.png")
    write_png(found[:MOST], tmp_path / "all.png")
    assert (tmp_path / "many.png").read_bytes() != (tmp_path / "all.png").read_bytes()  # it says so
