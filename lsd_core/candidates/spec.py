"""Specifications of candidates. The hash is the key on the store: equal specs are computed once."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from lsd_core.cards import BackboneRef
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import derive_seed, digest
from lsd_core.numerics.names import COMPONENT
from lsd_core.plugins import require
from lsd_core.processes import process_from_dict
from lsd_core.samplers import kernel_key
from lsd_core.trajectories.conditions import check_record
from lsd_core.trajectories.spec import TeacherSpec

CODE_EPOCH = 1  # moves when a change of code changes results, so that old cards are not taken for new ones
PARTS = ("selection", "report")  # seeds A choose, fresh seeds B are quoted
SHIPPED = "shipped"  # seeds B again, all on the table that ships: what promotion tests


@dataclass(frozen=True, kw_only=True)
class EvaluationSpec:
    """How candidates are measured; the same for all that are compared."""

    task: str
    """Name of the task: its judge, its primary and its diversity metric."""
    samples: int
    """Sequences per seed that are reported."""
    selection_samples: int
    """Sequences per seed that select: other seeds than those reported."""
    seeds: int
    """Number of seeds, for learning and for sampling alike."""
    batch: int
    """Sequences a network call."""
    temperatures: tuple[float, ...] = (1.0,)
    """Temperatures at which controls are measured, for the comparison at matched entropy."""
    certificate_paths: int = 0
    """Fresh paths on which the certificate is computed; 0 computes none."""
    metrics: tuple[str, ...] = ()
    """Metrics beside the task's own, see `metrics.extra`."""
    conditions: Mapping[str, Any] | None = None
    """What is given to samples and to the paths of certificates, `Conditions.record`; None where nothing is."""

    def __post_init__(self) -> None:
        COMPONENT.check("evaluation.task", self.task)
        for name in ("samples", "selection_samples", "seeds", "batch"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"evaluation.{name}", "be an integer >= 1", value)
        if self.certificate_paths < 0 or self.certificate_paths == 1:
            rule = "be 0, or at least 2 for a standard error"
            raise InputError("evaluation.certificate_paths", rule, self.certificate_paths)
        if 1.0 not in self.temperatures or any(not temperature > 0 for temperature in self.temperatures):
            raise InputError("evaluation.temperatures", "be positive and contain 1", list(self.temperatures))
        if self.conditions is not None:
            check_record(self.conditions)

    def to_dict(self) -> dict[str, Any]:
        """As data; without `metrics` and `conditions` where there are none, so that earlier keys still hold."""
        record = asdict(self)
        for name in ("metrics", "conditions"):
            if not record[name]:
                del record[name]
        return record

    @property
    def alias_suffix(self) -> str:
        """What the registry's aliases end in where something is given, so that they are apart from the others."""
        return "" if self.conditions is None else f"-given-{self.conditions['digest'][:8]}"

    def samples_of(self, part: str) -> int:
        return self.selection_samples if part == "selection" else self.samples


@dataclass(frozen=True, kw_only=True)
class CandidateSpec:
    """A cell (backbone x NFE x base sampler) and the method that fills it."""

    backbone: BackboneRef
    process: Mapping[str, Any]
    length: int
    sampler: str
    method: str
    nfe: int
    method_config: Mapping[str, Any]
    """Complete: every field of the method's configuration, defaults included."""
    teacher: TeacherSpec | None
    """Whose trajectories the method learns from; None for controls."""
    trajectories: int | None
    """How many of them."""
    evaluation: EvaluationSpec
    seed: int
    """Root of everything random."""
    components: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """(distribution, version) of the components that are not ours at version 1; see `plugins.Registry.recorded`."""

    def to_dict(self) -> dict[str, Any]:
        """As data; without `components` where all are ours at version 1, so that keys from before them still hold."""
        named = {name: list(found) for name, found in sorted(self.components.items())}
        return ({"components": named} if named else {}) | {
            "backbone": self.backbone.model_dump(),
            "process": dict(self.process),
            "length": self.length,
            "sampler": self.sampler,
            "method": self.method,
            "nfe": self.nfe,
            "method_config": dict(self.method_config),
            "teacher": None if self.teacher is None else self.teacher.to_dict(),
            "trajectories": self.trajectories,
            "evaluation": self.evaluation.to_dict(),
            "seed": self.seed,
            "code_epoch": CODE_EPOCH,
        }

    @staticmethod
    def from_dict(record: Mapping[str, Any]) -> "CandidateSpec":
        fields = {name: value for name, value in record.items() if name != "code_epoch"}
        for name in ("sampler", "method"):
            COMPONENT.check(f"candidate.{name}", fields[name])
        evaluation = dict(fields["evaluation"])
        evaluation["temperatures"] = tuple(evaluation["temperatures"])
        evaluation["metrics"] = tuple(evaluation.get("metrics", ()))
        teacher = fields["teacher"]
        components = {
            name: (str(dist), int(version)) for name, (dist, version) in fields.get("components", {}).items()
        }
        require(components)
        return CandidateSpec(
            **fields
            | {
                "backbone": BackboneRef(**fields["backbone"]),
                "components": components,
                "teacher": None if teacher is None else TeacherSpec.from_dict(teacher),
                "evaluation": EvaluationSpec(**evaluation),
            }
        )

    @cached_property
    def key(self) -> str:
        """Names the candidate's folder on the store, `cells/<key>`."""
        return digest(self.to_dict())[:16]

    @cached_property
    def work(self) -> "CandidateSpec":
        """The candidate under whose key the work is done: samplers with equal kernels share it."""
        shared = kernel_key(self.sampler, process_from_dict(dict(self.process)))
        return self if shared == self.sampler else replace(self, sampler=shared)

    @cached_property
    def learning(self) -> str:
        """Names what its tables depend on: all but how they are measured, of which the size of calls matters."""
        record = self.work.to_dict()
        return digest(record | {"evaluation": {"batch": record["evaluation"]["batch"]}})[:16]

    @property
    def folder(self) -> str:
        return f"cells/{self.key}"

    @property
    def label(self) -> str:
        """For people: `countdown nfe8 euler lsd`."""
        return f"{self.backbone.name} nfe{self.nfe} {self.sampler} {self.method}"

    @property
    def taught_as_measured(self) -> bool:
        """Whether it has a teacher whose sequences are given something where its own samples are, and only there."""
        given = self.evaluation.conditions is not None
        return self.teacher is not None and (self.teacher.conditions is not None) == given

    def learning_seed(self, which: int) -> int:
        """Seed of the `which`-th learning run."""
        return derive_seed("learning", self.seed, which)

    def sampling_seed(self, part: str, which: int) -> int:
        """Seed of the `which`-th samples of a part: the same for all candidates, so that they are paired."""
        return derive_seed("sampling", "report" if part == SHIPPED else part, self.seed, which)
