"""What is known about a candidate before it has a card: tables learned, samples measured. One file each.

Every file is a function of the candidate's spec alone, so a file that exists need not be made again.
"""

from dataclasses import dataclass

from lsd_core.candidates.columns import columns_of, encode
from lsd_core.candidates.measurement import Measurement
from lsd_core.candidates.reading import (
    across_key,
    found_at,
    read_across,
    read_learned,
    read_measurement,
    scores_key,
)
from lsd_core.candidates.spec import CandidateSpec
from lsd_core.cards import plain
from lsd_core.distillation.learned import Learned
from lsd_core.metrics.across import Across
from lsd_core.numerics.canonical import digest
from lsd_core.storage.damage import unless_damaged
from lsd_core.storage.sealed import write_sealed
from lsd_core.storage.store import Store


@dataclass(frozen=True)
class Results:
    """The files of one candidate's work on the store."""

    store: Store
    spec: CandidateSpec

    def table_key(self, which: int) -> str:
        return f"{self.spec.work.folder}/table-{which}.json"

    def learned_key(self, which: int) -> str:
        """A copy of the table, for candidates that learn alike and are measured otherwise."""
        return f"learned/{self.spec.learning}/{which}.json"

    def measurement_key(self, part: str, which: int, temperature: float) -> str:
        return f"{self.spec.work.folder}/{part}-{which}-T{temperature:g}.json"

    def across_key(self, part: str, which: int) -> str:
        """Statistics across the samples of a measurement at temperature 1."""
        return across_key(self.measurement_key(part, which, 1.0))

    @property
    def teacher_across_key(self) -> str:
        return across_key(self.teacher_key)

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

    def write_learned(self, which: int, result: Learned, *, copy: bool = True) -> None:
        """With a copy, where learning it took network calls and the result is not such a copy itself."""
        record = {
            "table": result.table.to_dict(),
            "sequences": result.sequences,
            "history": plain(result.history),
            "diagnostics": plain(result.diagnostics),
        }
        if copy and result.sequences:
            write_sealed(self.store, self.learned_key(which), record)
        write_sealed(self.store, self.table_key(which), {"spec": self.spec.work.to_dict()} | record)

    def find_learned(self, which: int) -> Learned | None:
        """The copy that another candidate left; None where there is none, or a damaged one."""
        return unless_damaged(lambda: read_learned(self.store, self.learned_key(which)), None)

    def read_learned(self, which: int) -> Learned:
        return read_learned(self.store, self.table_key(which))

    def write_measurement(self, part: str, which: int, temperature: float, result: Measurement) -> None:
        self._write(self.measurement_key(part, which, temperature), result)

    def read_measurement(self, part: str, which: int, temperature: float) -> Measurement:
        return read_measurement(self.store, self.measurement_key(part, which, temperature))

    def write_across(self, part: str, which: int, result: Measurement) -> None:
        """Only the statistics across the samples of a measurement that is there."""
        self._write_across(self.measurement_key(part, which, 1.0), result)

    def write_teacher(self, result: Measurement) -> None:
        self._write(self.teacher_key, result)

    def write_teacher_across(self, result: Measurement) -> None:
        self._write_across(self.teacher_key, result)

    def read_teacher(self) -> Measurement | None:
        """None where the teacher's own sequences were not measured."""
        return found_at(self.store, self.teacher_key, read_measurement)

    def read_across(self, part: str, which: int) -> Across | None:
        """Statistics across the samples of a measurement at temperature 1; None where they were not computed."""
        return self._read_across(self.across_key(part, which))

    def read_teacher_across(self) -> Across | None:
        return self._read_across(self.teacher_across_key)

    def _write(self, key: str, result: Measurement) -> None:
        """The metrics last: a measurement that can be read is whole.

        A store of an earlier version has measurements without statistics across samples.
        """
        self.store.memory.forget(key)
        self.store.write_bytes(scores_key(key), encode({"score": result.scores}))
        record = {"calls_mean": result.calls_mean, "calls_max": result.calls_max, "metrics": result.metrics}
        shown = {"first": result.first} if result.first else {}
        drawn_on = {"device_kind": result.device_kind} if result.device_kind else {}
        self._write_across(key, result)
        write_sealed(self.store, key, plain(record | shown | drawn_on))

    def _write_across(self, key: str, result: Measurement) -> None:
        if result.across is not None:
            self.store.memory.forget(across_key(key))
            self.store.write_bytes(across_key(key), encode(columns_of(result.across)))

    def _read_across(self, key: str) -> Across | None:
        return found_at(self.store, key, read_across)
