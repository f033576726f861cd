"""Sampler cards: everything needed to draw from a learned sampler and to judge it, as canonical JSON.

A card holds no clock time, host or run id, so equal work gives equal cards, and the hash of its text is its
name in the registry.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictInt,
    ValidationError,
    model_validator,
)

from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.errors import InputError
from lsd_core.numerics.canonical import canonical_json, digest
from lsd_core.numerics.names import COMPONENT, LINE, BackboneName, ComponentName, Fingerprint, Line
from lsd_core.numerics.plain_text import parse_json
from lsd_core.processes import Absorbing, process_from_dict
from lsd_core.samplers.table import StepTable
from lsd_core.settings import explained
from lsd_core.storage.sealed import seal, unseal
from lsd_core.trajectories.conditions import check_record

SCHEMA_VERSION = 1
REMEDY = "restore the card from its store, or distil it again"
FIGURES = ("value_nats", "standard_error", "num_paths", "sequences")  # of a certificate


def plain(value: Any) -> Any:
    """A deep copy made of JSON's own types: tuples become lists, NaN and infinity (not JSON) become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


Json = Annotated[dict[str, Any], BeforeValidator(plain)]
Number = Annotated[float | None, BeforeValidator(plain)]  # null: what was measured is not a finite number
Count = Annotated[StrictInt, Field(ge=1)]
Seed = Annotated[StrictInt, Field(ge=0)]


def _read_table(value: Any) -> StepTable:
    """A table, or its JSON."""
    if isinstance(value, StepTable):
        return value
    if not isinstance(value, Mapping):
        raise InputError("table", "have times or counts, gains and gain_on", value)
    try:
        return StepTable.from_dict(dict(value))
    except TypeError as error:  # null, or a list where a number belongs
        raise InputError("table", "hold numbers", value) from error


Table = Annotated[StepTable, BeforeValidator(_read_table), PlainSerializer(StepTable.to_dict)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BackboneRef(_Part):
    """Which frozen network the sampler was made for."""

    name: BackboneName
    fingerprint: Fingerprint
    family: ComponentName


class Calls(_Part):
    """Network calls a sample used, the final denoise and correctors included."""

    mean: float = Field(gt=0, allow_inf_nan=False)
    max: Count


class Draw(_Part):
    """How tokens are drawn from their distribution."""

    dtype: Literal["float64"] = "float64"
    kind: Literal["inverse_cdf"] = "inverse_cdf"


class Metric(_Part):
    """A mean with its 95% interval, and its value at each of the card's seeds (or none of them)."""

    mean: Number
    low: Number = None
    high: Number = None
    per_seed: tuple[Number, ...] = ()


class Evaluation(_Part):
    """What the sampler scored: on the seeds that select, and on fresh ones that are reported."""

    judge: Line
    """Id of what measured it."""
    samples: Count
    """Samples per seed."""
    primary: Line
    """Name of the metric that decides; lower wins."""
    diversity: Line
    """Name of the diversity metric, in nats."""
    selection: dict[Line, Metric]
    report: dict[Line, Metric]
    conditions: Json | None = None
    """What was given to the samples, `Conditions.record`; absent where nothing was."""


class Provenance(_Part):
    """Where it came from."""

    config_hash: str
    code_epoch: StrictInt
    environment: Json


class SamplerCard(_Part):
    """One candidate: a frozen step table with its backbone, cost, proof and origin."""

    schema_version: StrictInt = SCHEMA_VERSION
    backbone: BackboneRef
    process: Json
    sampler: ComponentName
    """Base sampler: `euler`, `tweedie`, `fixed_counts`, ..."""
    method: ComponentName
    """What chose the table: `lsd`, `path_kl`, ..., or a control: `plain`, `cosine`, ..."""
    nfe: Count
    """Budget of network calls; no sample uses more."""
    steps: Count
    calls: Calls
    table: Table
    """What was learned; in JSON, `StepTable.to_dict()`."""
    draw: Draw = Draw()
    teacher: Json | None = None
    """`TeacherSpec.to_dict()`, if the method learned from trajectories."""
    teacher_hash: str | None = None
    method_config: Json = Field(default_factory=dict)
    seed: Seed
    """The seed of the table that ships: the median one by the primary selection metric."""
    seeds: tuple[Seed, ...] = Field(min_length=1)
    certificate: Json | None = None
    evaluation: Evaluation
    provenance: Provenance
    learning: Json | None = None
    """`sequences` that went through the network to learn its table, and of these the `shared`: measured once for other
    budgets, seeds and methods too; absent where nothing was shared on a store."""
    components: dict[str, tuple[str, StrictInt]] = Field(default_factory=dict)
    """(distribution, version) of the components that are not ours at version 1; absent where all are."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "SamplerCard":
        if self.schema_version != SCHEMA_VERSION:
            remedy = "read it with the version of this program that wrote it"
            raise InputError("card.schema_version", f"be {SCHEMA_VERSION}", self.schema_version, remedy)
        if (num_steps := self.table.num_steps) != self.steps:
            raise InputError("card.steps", f"be the table's number of steps, {num_steps}", self.steps)
        if self.steps > self.nfe:
            raise InputError("card.nfe", f"be at least the number of steps, {self.steps}", self.nfe)
        self._check_process()
        if self.calls.max > self.nfe:
            raise InputError("card.calls.max", f"be at most the budget nfe = {self.nfe}", self.calls.max)
        if self.calls.mean > self.calls.max:
            raise InputError("card.calls.mean", f"be at most calls.max = {self.calls.max}", self.calls.mean)
        if self.seed not in self.seeds:
            raise InputError("card.seed", f"be one of the seeds {list(self.seeds)}", self.seed)
        expected = None if self.teacher is None else digest(self.teacher)[:16]
        if self.teacher_hash != expected:
            raise InputError("card.teacher_hash", f"be the teacher's hash {expected}", self.teacher_hash)
        self._check_metrics()
        _check_certificate("card.certificate", self.certificate or {})
        if self.evaluation.conditions is not None:
            check_record(self.evaluation.conditions)
        return self

    def _check_process(self) -> None:
        try:
            process = process_from_dict(self.process)
        except (KeyError, TypeError, ValueError) as error:
            rule = "be a forward process, as `Process.to_dict` writes it"
            raise InputError("card.process", rule, f"{self.process} ({error})") from None
        if self.table.counts is not None and not isinstance(process, Absorbing):
            raise InputError("card.table", f"hold times, since the process is {process.kind}", "counts")

    def _check_metrics(self) -> None:
        for part in ("selection", "report"):
            metrics: dict[str, Metric] = getattr(self.evaluation, part)
            for name in (self.evaluation.primary, self.evaluation.diversity):
                if name not in metrics:
                    raise InputError(f"card.evaluation.{part}", f"contain {name}", sorted(metrics))
            for name, metric in metrics.items():
                if len(metric.per_seed) not in (0, len(self.seeds)):
                    field = f"card.evaluation.{part}.{name}.per_seed"
                    raise InputError(
                        field, f"have one value for each of {len(self.seeds)} seeds", metric.per_seed
                    )

    @property
    def title(self) -> str:
        """For example `countdown nfe8 euler lsd`."""
        return f"{self.backbone.name} nfe{self.nfe} {self.sampler} {self.method}"

    @property
    def primary(self) -> Metric:
        """The metric that decides, on the report seeds."""
        return self.evaluation.report[self.evaluation.primary]

    @property
    def diversity(self) -> Metric:
        """The diversity metric in nats, on the report seeds."""
        return self.evaluation.report[self.evaluation.diversity]

    def to_json(self) -> str:
        """Canonical JSON: equal cards give equal text."""
        return canonical_json(self._record())

    def _record(self) -> dict[str, Any]:
        record = self.model_dump(mode="json")
        for name in ("components", "learning"):
            if not record[name]:
                del record[name]
        if self.evaluation.conditions is None:
            del record["evaluation"]["conditions"]
        return record

    @property
    def sha256(self) -> str:
        """Hash of `to_json()`: the card's name in the registry."""
        return text_sha256(self.to_json())

    def sealed_json(self) -> str:
        """The card as it lies on the store: `to_json()` with the field `sha256`, which reading checks."""
        return canonical_json(seal(self._record()))

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "card") -> "SamplerCard":
        """The card in `text`; anything else raises InputError that names `source` and the field."""
        try:
            record = parse_json(text, source, "be a sampler card in JSON")
            return cls.model_validate(unseal(record, source, REMEDY) if isinstance(record, dict) else record)
        except ValidationError as error:
            raise _explain(error, source) from None

    def check_backbone(self, backbone: AnyBackbone) -> None:
        """Raise InputError unless this is the backbone that the card was made for, and is as the card says."""
        if backbone.fingerprint != self.backbone.fingerprint:
            raise InputError(
                f"fingerprint of backbone {backbone.name}",
                f"be {self.backbone.fingerprint}, for which the card `{self.title}` was made",
                backbone.fingerprint,
                "name the store that holds the card's backbone (--store or LSD_STORE)",
            )
        told = {"family": self.backbone.family, "process": plain(self.process)}
        found = {"family": backbone.family, "process": plain(backbone.process.to_dict())}
        for field, value in told.items():
            if value != found[field]:
                raise InputError(f"card {field}", f"be the backbone's, {found[field]}", value, REMEDY)


def _check_certificate(field: str, record: Mapping[str, Any]) -> None:
    """Raise InputError unless its names can be tags, its texts are lines and its figures are numbers."""
    for name, value in record.items():
        where = f"{field}.{COMPONENT.check(f'a name in {field}', name)}"
        if isinstance(value, Mapping):
            _check_certificate(where, value)
        elif isinstance(value, str) and name not in FIGURES:
            LINE.check(where, value)
        elif value is not None and type(value) not in (int, float):
            raise InputError(where, "be a number" if name in FIGURES else "be text or a number", value)


def text_sha256(text: str) -> str:
    """SHA-256 of a card's text as it lies in a file."""
    return hashlib.sha256(text.encode()).hexdigest()


def _explain(error: ValidationError, source: str) -> InputError:
    """The first of pydantic's complaints, in our words."""
    rules = {"missing": "be present", "extra_forbidden": "not be there"}
    return explained("card", error, REMEDY, rules=rules, source="" if source == "card" else f"{source}: ")
