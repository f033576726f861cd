"""The work of a cell: tables, measurements, a certificate and a card for each of its candidates.

A candidate that fails leaves the others of its cell alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial

from flows.pipeline.plan import Cell
from flows.pipeline.retries import may_pass
from flows.pipeline.scheduler import Piece, Steps, reason_of
from flows.pipeline.site import Failures, Site, have_done
from lsd_core.candidates import CandidateSpec
from lsd_core.candidates.certify import certifiable, looks_at_tokens
from lsd_core.candidates.make_card import make_card
from lsd_core.candidates.reading import read_card
from lsd_core.candidates.results import Results
from lsd_core.candidates.spec import PARTS
from lsd_core.candidates.temperature import choose_temperature
from lsd_core.candidates.tested import Tested, all_tested, lacking, shipped_run
from lsd_core.candidates.work import table_index, temperatures_of
from lsd_core.cards import SamplerCard
from lsd_core.distillation.methods import BASELINE, TEMPERATURE, get_method
from lsd_core.numerics.environment import environment
from lsd_core.storage.sealed import read_sealed
from workers.jobs import CandidateJob, CertifyJob, LearnJob, MeasureJob


@dataclass(frozen=True)
class Filled:
    """The result of a cell's work."""

    cards: Mapping[str, SamplerCard] = field(default_factory=dict)
    """By key of the candidate."""
    failures: Mapping[str, str] = field(default_factory=Failures)
    """By key of the work."""
    reason: str = ""
    """The failures in one line."""


def cell_piece(site: Site, cell: Cell, teachers: Mapping[str, Piece]) -> Piece:
    """The work of a cell, whose learners wait for their teachers, pieces by hash; its result is a `Filled`."""
    read = dict.fromkeys(spec.teacher.hash for spec in cell.specs if spec.teacher is not None)
    after = {name: teachers[name] for name in read if name in teachers}
    return Piece(cell.label, partial(_fill, site, cell, after), 4 * len(cell.work), (*after.values(),))


def _fill(site: Site, cell: Cell, teachers: Mapping[str, Piece]) -> Steps:
    failures = Failures()
    for spec in cell.work:
        teacher = None if spec.teacher is None else teachers.get(spec.teacher.hash)
        if teacher is not None and teacher.future.done() and teacher.error is not None:
            failures[spec.work.key] = reason_of(teacher.error)

    def jobs(of: Callable[[CandidateSpec], Iterator[CandidateJob]]) -> list[CandidateJob]:
        """Of the candidates that have not failed."""
        return [job for spec in cell.work if spec.key not in failures for job in of(spec)]

    yield from have_done(site, failures, "tables", jobs(tables))
    yield from have_done(site, failures, "measurements", jobs(selections))
    for spec in cell.work:
        if spec.method == TEMPERATURE and spec.key not in failures:
            with _noted(failures, spec):
                _choose(site, cell, spec, failures)
    yield from have_done(site, failures, "measurements", jobs(cooled_selections))
    fresh = list[CandidateJob]()
    for spec in cell.work:
        if spec.key not in failures:
            with _noted(failures, spec):
                fresh += reports(site, spec)
    yield from have_done(site, failures, "measurements", fresh)
    certify = list[CandidateJob]()
    for spec in cell.work:
        if certified(site, spec) and spec.key not in failures:
            with _noted(failures, spec):
                certify.append(CertifyJob(spec=spec, which=shipped_run(site.results(spec))))
    yield from have_done(site, failures, "certificates", certify)
    cards = dict[str, SamplerCard]()
    for spec in cell.specs:
        if spec.work.key not in failures and site.results(spec).card_key not in site.present:
            with _noted(failures, spec):
                cards[spec.key] = write_card(site.results(spec))
    named = (f"{spec.label}: {failures[spec.key]}" for spec in cell.work if spec.key in failures)
    return Filled(cards, failures, "; ".join(named))


def tables(spec: CandidateSpec) -> Iterator[CandidateJob]:
    """Every learning run; a control's one table serves all its seeds."""
    if spec.method != TEMPERATURE:
        for which in table_seeds(spec):
            yield LearnJob(spec=spec, which=which)


def selections(spec: CandidateSpec) -> Iterator[CandidateJob]:
    """Samples that select: every candidate at temperature 1, the plain sampler at all temperatures."""
    if spec.method != TEMPERATURE:
        for which in range(spec.evaluation.seeds):
            for temperature in spec.evaluation.temperatures if spec.method == BASELINE else (1.0,):
                yield MeasureJob(spec=spec, part="selection", which=which, temperature=temperature)


def cooled_selections(spec: CandidateSpec) -> Iterator[CandidateJob]:
    """The same of the temperature control, whose table follows from the plain sampler's."""
    if spec.method == TEMPERATURE:
        for which in range(spec.evaluation.seeds):
            yield MeasureJob(spec=spec, part="selection", which=which)


def quoted(spec: CandidateSpec) -> Iterator[Tested]:
    """Fresh samples of every learning run's table, controls at every temperature."""
    for which in range(spec.evaluation.seeds):
        for temperature in temperatures_of(spec):
            yield Tested(part="report", which=which, temperature=temperature)


def reports(site: Site, spec: CandidateSpec) -> Iterator[CandidateJob]:
    """Fresh samples that are quoted, and those that promotion tests.

    A store of an earlier version has cards whose controls were not swept, or whose samples were not compared with one
    another: what promotion lacks is measured then, and the cards stay.
    """
    results = site.results(spec)
    for each in dict.fromkeys([*quoted(spec), *all_tested(results)]):
        there = results.measurement_key(each.part, each.which, each.temperature) in site.present
        yield MeasureJob(spec=spec, **asdict(each), only_across=there)


def complete(site: Site, spec: CandidateSpec) -> bool:
    """Whether nothing is missing of what a candidate's card, its promotion and its report are made from."""
    work, results = spec.work, site.results(spec.work)
    wanted = {results.table_key(which) for which in table_seeds(work)}
    wanted |= {site.key(job) for of in (selections, cooled_selections) for job in of(work)}
    wanted |= {results.measurement_key(each.part, each.which, 1.0) for each in quoted(work)}
    if not {site.results(spec).card_key, *wanted} <= site.present or lacking(results, site.present):
        return False
    return not certified(site, work) or results.certificate_key(shipped_run(results)) in site.present


def planned_jobs(site: Site, cell: Cell) -> list[CandidateJob]:
    """What is missing, for a progress bar: which table is certified is not known before."""
    kinds = (tables, selections, cooled_selections)
    known = [job for spec in cell.work for of in kinds for job in of(spec)]
    known += [MeasureJob(spec=spec, **asdict(each)) for spec in cell.work for each in quoted(spec)]
    return site.missing(known) + [
        CertifyJob(spec=spec, which=0) for spec in cell.work if certified(site, spec)
    ]


def certified(site: Site, spec: CandidateSpec) -> bool:
    """Whether it has a certificate, or gets one with its card.

    A card of an earlier version, in which samplers that look at the tokens had none, stays as it is.
    """
    written = site.results(spec).card_key in site.present
    return certifiable(spec) and not (written and looks_at_tokens(spec))


def table_seeds(spec: CandidateSpec) -> range:
    """The learning runs of a candidate: one where nothing is random."""
    return range(spec.evaluation.seeds if get_method(spec.method).needs_paths else 1)


def write_card(results: Results) -> SamplerCard:
    """The card of a candidate whose work is done, last of all its files."""
    spec, seeds = results.spec, range(results.spec.evaluation.seeds)
    measured = {part: [results.read_measurement(part, w, 1.0) for w in seeds] for part in PARTS}
    learned = [results.read_learned(table_index(spec, w)) for w in seeds]
    certificate = None
    if certifiable(spec):
        certificate = read_sealed(results.store, results.certificate_key(shipped_run(results)))
    card = make_card(spec, learned, measured, certificate, environment())
    results.store.write_bytes(results.card_key, card.sealed_json().encode())
    return card


def read_cards(site: Site, specs: Sequence[CandidateSpec]) -> dict[str, SamplerCard]:
    """The cards of candidates that are done; a damaged one raises InputError that names its file."""
    cards = {}
    for spec in specs:
        key = site.results(spec).card_key
        if key in site.present:
            cards[spec.key] = read_card(site.store, key)
    return cards


def _choose(site: Site, cell: Cell, spec: CandidateSpec, failures: Failures) -> None:
    """Write the table of the temperature control, unless it is there."""
    results = site.results(spec)
    if results.table_key(0) in site.present:
        return
    if cell.plain.key in failures:
        failures[spec.key] = f"its plain sampler failed: {failures[cell.plain.key]}"
        return
    results.write_learned(0, choose_temperature(site.results(cell.plain)))


@contextmanager
def _noted(failures: Failures, spec: CandidateSpec) -> Iterator[None]:
    """An error that will not pass is this candidate's alone."""
    try:
        yield
    except Exception as error:
        if may_pass(error):
            raise
        failures[spec.work.key] = reason_of(error)
