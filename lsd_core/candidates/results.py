"""What is known about a candidate before it has a card: tables learned, samples measured. One file each.

Every file is a function of the candidate's spec alone, so a file that exists need not be made again.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float

from lsd_core.candidates.spec import CandidateSpec
from lsd_core.cards import plain
from lsd_core.distillation.learned import Learned
from lsd_core.metrics.across import Across
from lsd_core.numerics.canonical import digest
from lsd_core.samplers.table import StepTable
from lsd_core.storage.store import Store

COINCIDENCE = "coincidence"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """What one table scored on one seed's samples."""

    metrics: dict[str, float]
    calls_mean: float
    calls_max: int
    scores: Float[np.ndarray, " n"]
    """Primary metric of every sample, for paired comparisons."""
    first: tuple[tuple[int, ...], ...] = ()
    """The first few of the sequences themselves, to be looked at."""
    device_kind: str = ""
    """The accelerator that drew them; empty for a CPU."""
    across: Across | None = None
    """Statistics across these samples; they lie in a file of their own, and are read by `read_across`."""


@dataclass(frozen=True)
class Results:
    """The files of one candidate's work on the store."""

    store: Store
    spec: CandidateSpec

    def table_key(self, which: int) -> str:
        return f"{self.spec.work.folder}/table-{which}.json"

    def measurement_key(self, part: str, which: int, temperature: float) -> str:
        return f"{self.spec.work.folder}/{part}-{which}-T{temperature:g}.json"

    def across_key(self, part: str, which: int) -> str:
        """Statistics across the samples of a measurement at temperature 1."""
        return _across_key(self.measurement_key(part, which, 1.0))

    @property
    def teacher_across_key(self) -> str:
        return _across_key(self.teacher_key)

    def certificate_key(self, which: int, kind: str = "reverse") -> str:
        named = "certificate" if kind == "reverse" else f"certificate-{kind}"
        return f"{self.spec.work.folder}/{named}-{which}.json"

    @property
    def card_key(self) -> str:
        """Present means done."""
        return f"{self.spec.folder}/card.json"

    @property
    def teacher_key(self) -> str:
        """What the teacher's own sequences scored; shared by all that learn from them and ask the same metrics."""
        spec = self.spec
        assert spec.teacher is not None
        asked = f"-{digest(list(spec.evaluation.metrics))[:8]}" if spec.evaluation.metrics else ""
        return f"cells/teacher-{spec.teacher.hash}-{spec.trajectories}-{spec.evaluation.task}{asked}.json"

    def write_learned(self, which: int, result: Learned) -> None:
        record = {
            "spec": self.spec.work.to_dict(),
            "table": result.table.to_dict(),
            "sequences": result.sequences,
            "history": plain(result.history),
            "diagnostics": plain(result.diagnostics),
        }
        self.store.write_json(self.table_key(which), record)

    def read_learned(self, which: int) -> Learned:
        record = self.store.read_json(self.table_key(which))
        return Learned(
            table=StepTable.from_dict(record["table"]),
            sequences=record["sequences"],
            history=record["history"],
            diagnostics=record["diagnostics"],
        )

    def write_measurement(self, part: str, which: int, temperature: float, result: Measurement) -> None:
        self._write(self.measurement_key(part, which, temperature), result)

    def read_measurement(self, part: str, which: int, temperature: float) -> Measurement:
        return self._read(self.measurement_key(part, which, temperature))

    def write_across(self, part: str, which: int, result: Measurement) -> None:
        """Only the statistics across the samples of a measurement that is there."""
        self._write_across(self.measurement_key(part, which, 1.0), result)

    def write_teacher(self, result: Measurement) -> None:
        self._write(self.teacher_key, result)

    def write_teacher_across(self, result: Measurement) -> None:
        self._write_across(self.teacher_key, result)

    def read_teacher(self) -> Measurement:
        return self._read(self.teacher_key)

    def read_across(self, part: str, which: int) -> Across | None:
        """Statistics across the samples of a measurement at temperature 1; None where they were not computed."""
        return self._read_across(self.across_key(part, which))

    def read_teacher_across(self) -> Across | None:
        return self._read_across(self.teacher_across_key)

    def _write(self, key: str, result: Measurement) -> None:
        """The scores first, the metrics last: a measurement that can be read is whole.

        Statistics across samples follow; a store of an earlier version has measurements without them.
        """
        self.store.write_bytes(_scores_key(key), _encode({"score": result.scores}))
        record = {"calls_mean": result.calls_mean, "calls_max": result.calls_max, "metrics": result.metrics}
        shown = {"first": result.first} if result.first else {}
        drawn_on = {"device_kind": result.device_kind} if result.device_kind else {}
        self.store.write_json(key, plain(record | shown | drawn_on))
        self._write_across(key, result)

    def _write_across(self, key: str, result: Measurement) -> None:
        if result.across is not None:
            self.store.write_bytes(_across_key(key), _encode(_columns(result.across)))

    def _read(self, key: str) -> Measurement:
        """A measurement, read once: promotion looks at the same ones for every alias."""
        if key not in self.store.memory:
            self.store.memory[key] = self._read_anew(key)
        found: Measurement = self.store.memory[key]
        return found

    def _read_across(self, key: str) -> Across | None:
        if not self.store.exists(key):
            return None
        table = pq.read_table(pa.BufferReader(self.store.read_bytes(key)))
        return _across_of({name: table[name].to_numpy() for name in table.column_names})

    def _read_anew(self, key: str) -> Measurement:
        record = self.store.read_json(key)
        scores = pq.read_table(pa.BufferReader(self.store.read_bytes(_scores_key(key))))["score"].to_numpy()
        return Measurement(
            metrics={name: float("nan") if v is None else v for name, v in record["metrics"].items()},
            calls_mean=record["calls_mean"],
            calls_max=record["calls_max"],
            scores=scores,
            first=tuple(tuple(row) for row in record.get("first", ())),
            device_kind=record.get("device_kind", ""),
        )


def _scores_key(key: str) -> str:
    return key.removesuffix(".json") + ".parquet"


def _across_key(key: str) -> str:
    return key.removesuffix(".json") + "-across.parquet"


def _encode(columns: Mapping[str, np.ndarray]) -> bytes:
    sink = io.BytesIO()
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    pq.write_table(table, sink, compression="zstd", use_dictionary=True, write_statistics=False)
    return sink.getvalue()


def _columns(across: Across) -> dict[str, np.ndarray]:
    """`coincidence/4`, `position/0`: a row a sample."""
    columns = {f"{COINCIDENCE}/{size}": values for size, values in across.coincidence.items()}
    for name, places in across.places.items():
        columns |= {f"{name}/{place}": places[:, place].astype(np.int32) for place in range(places.shape[1])}
    return columns


def _across_of(columns: Mapping[str, np.ndarray]) -> Across:
    """The statistics whose columns these are."""
    coincidence, places = dict[int, np.ndarray](), dict[str, list[np.ndarray]]()
    for column, values in columns.items():
        name, number = column.rsplit("/", 1)
        if name == COINCIDENCE:
            coincidence[int(number)] = values
        else:
            places.setdefault(name, []).append(values.astype(np.int64))
    return Across(
        coincidence=coincidence, places={name: np.stack(values, axis=1) for name, values in places.items()}
    )
