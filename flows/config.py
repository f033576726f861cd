"""GridConfig: the settings of a grid. Prefect shows it as a form, a YAML file holds it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StrictInt,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema
from pydantic_core.core_schema import no_info_after_validator_function

from flows.form_choices import (
    BackboneName,
    Choices,
    MethodName,
    MetricName,
    SamplerName,
    TaskName,
    TeacherName,
)
from lsd_core.errors import InputError
from lsd_core.numerics.names import RunName
from lsd_core.numerics.plain_text import parse_yaml
from lsd_core.settings import explained, settings_schema

Model = TypeVar("Model", bound=BaseModel)
GRIDS = Path(__file__).parent / "grids"
LIMITS = {
    "int_type": "be an integer",
    "greater_than_equal": "be >= {ge}",
    "less_than_equal": "be <= {le}",
    "less_than": "be < {lt}",
    "finite_number": "be a finite number",
}
"""Rules by pydantic's type of an error."""
MOST = 10**9  # of anything that is counted: more is a slip of the hand
Count = Annotated[StrictInt, Field(ge=1, le=MOST)]
Calls = Annotated[StrictInt, Field(ge=1, le=10**5)]
Workers = Annotated[StrictInt, Field(ge=1, le=10**4)]
Gpus = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[StrictInt, Field(ge=0, lt=2**63)]


class MethodSettings:
    """Checks each method's settings against its own dataclass, and shows them in the form of Prefect."""

    @staticmethod
    def checked(given: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        from lsd_core.distillation.methods import METHODS  # with torch, once there are settings to check

        for name, settings in given.items():
            METHODS[name].config(settings)
        return given

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self.checked, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        from lsd_core.distillation.methods import METHODS

        forms = {name: settings_schema(method.config_class) for name, method in METHODS.items()}
        return {"type": "object", "properties": forms, "additionalProperties": False}


class Section(BaseModel):
    """Frozen, and closed to fields that it does not name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TeacherConfig(Section):
    """The trajectories that the methods learn from."""

    method: TeacherName = Field("exact", description="exact, data, or a base sampler with `steps`")
    steps: Count | None = Field(None, description="steps of an N-step teacher; none for an exact one")
    nodes: Count = Field(64, description="times at which states are kept where the process has no mask")
    trajectories: Count = Field(256, description="trajectories that each cell reads")
    shard_rows: Count = Field(64, description="trajectories a shard; a few minutes of work")
    batch: Count | None = Field(
        64, description="trajectories a network call; if null, what memory holds, frozen when first planned"
    )
    memory_gib: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="memory of a worker (of its GPU, if it has one), for a batch of null"
    )
    seed: Seed = Field(0, description="root of the teacher's random numbers")


class EvaluationConfig(Section):
    """How candidates are measured."""

    samples: Count = Field(4096, description="sequences a seed that are reported")
    selection_samples: Count | None = Field(
        None, description="sequences a seed that select; as many if left out"
    )
    seeds: Count = Field(3, description="seeds, for learning and for sampling")
    batch: Count = Field(64, description="sequences a network call")
    temperatures: list[Annotated[float, Field(allow_inf_nan=False)]] = Field(
        [1.25, 1.1, 1.0, 0.9, 0.8, 0.7, 0.6],
        description="temperatures at which controls are measured, to compare at matched entropy",
    )
    metrics: list[MetricName] = Field(
        default_factory=list,
        description="metrics beside the task's own: distinct, self_bleu, generative_perplexity:MODEL, "
        "mauve:MODEL:REFERENCE, moses, fid:WEIGHTS:REFERENCE, inception_score:WEIGHTS",
    )
    certificate_paths: Annotated[StrictInt, Field(ge=0, le=MOST)] = Field(
        256, description="fresh paths for the certificates; 0 computes none"
    )
    one_by_one: Annotated[StrictInt, Field(ge=0, le=MOST)] = Field(
        64,
        description="sequences, one token a call, on which each order of the base samplers is measured, and how far "
        "its distribution is from the uniform order's: 6 x length calls each; 0 measures none",
    )

    @field_validator("one_by_one")
    @classmethod
    def _known_error(cls, value: int) -> int:
        if value == 1:
            raise ValueError("must be 0, or at least 2 for a standard error")
        return value


class ConditionsConfig(Section):
    """What is given to trajectories and samples: prompts, templates, or a task's own questions."""

    source: str = Field(
        description="a JSONL file of prompts and templates, `task` for the task's own, or a set's digest on the store"
    )
    unconditional: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        0.0, description="share of trajectories and samples with nothing given"
    )
    held_out: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = Field(
        0.5, description="share of the templates that only measure; 0 measures on those learned on"
    )
    templates: Annotated[StrictInt, Field(ge=1, le=10**5)] = Field(
        256, description="templates drawn where they are the task's own"
    )
    seed: Seed = Field(0, description="root of the task's own templates")


class GridConfig(Section):
    """A grid of cells (backbone x NFE x base sampler) and the methods that fill them."""

    name: RunName = Field("countdown", description="shows in run names and reports")
    backbones: list[BackboneName] = Field(
        ["countdown"],
        min_length=1,
        description="names, hf://OWNER/NAME, python:MODULE:FACTORY, folders or files",
    )
    nfe: list[Calls] = Field([4, 8, 16], min_length=1, description="budgets of network calls")
    samplers: list[SamplerName] = Field(["euler", "tweedie"], min_length=1, description="base samplers")
    methods: list[MethodName] = Field(
        ["plain", "cosine", "temperature", "lsd"],
        min_length=1,
        description="what fills a cell, or `all`; `plain` is always there, as the baseline",
    )
    method_configs: Annotated[dict[str, dict[str, Any]], MethodSettings()] = Field(
        default_factory=dict, description="settings of a method other than its defaults"
    )
    task: TaskName | None = Field(
        None, description="what the backbones are judged on; what each declares if left out"
    )
    conditions: ConditionsConfig | None = Field(
        None, description="what is given to trajectories and samples; nothing if left out"
    )
    teacher: TeacherConfig = TeacherConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: Seed = Field(0, description="root of everything random")
    sizes: str = Field("", description="said with the results where sizes are too small for claims")
    store: str | None = Field(None, description="folder or URL; else LSD_STORE, else ./lsd-data/store")
    tracking_uri: str | None = Field(None, description="MLflow; else LSD_TRACKING_URI, MLFLOW_TRACKING_URI")
    ray_address: str | None = Field(
        None, description="Ray cluster; else LSD_RAY_ADDRESS, RAY_ADDRESS, else local"
    )
    workers: Workers | None = Field(None, description="Ray workers; as many as fit if left out")
    num_gpus: Gpus = Field(0, description="GPUs a worker; fractions share one")

    @property
    def places(self) -> dict[str, str | None]:
        """The URLs it names, as `settings.resolve` takes them."""
        return {"store": self.store, "tracking_uri": self.tracking_uri, "ray_address": self.ray_address}

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        """The name of a ready grid stands for what its file says."""
        if not isinstance(given, str):
            return given
        # No path: that is for the machine of whoever types it, so for `lsd grid` alone.
        if given not in grid_names():
            raise InputError("grid", f"be one of {', '.join(grid_names())}", given)
        return read_yaml("grid", given, GRIDS, {})

    @field_validator("backbones", "nfe", "samplers", "methods")
    @classmethod
    def _no_duplicates(cls, values: list[Any]) -> list[Any]:
        return list(dict.fromkeys(values))


def grid_names() -> list[str]:
    """The ready grids."""
    return sorted(path.stem for path in GRIDS.glob("*.yaml"))


GridChoice = Annotated[GridConfig, Choices(grid_names, others="settings of a grid")]
"""A parameter of a flow: in its form a ready grid is chosen by name, or settings are given."""


def load_grid(name: str, **overrides: Any) -> GridConfig:
    """A ready grid by name, or one from a YAML file; overrides that are None are left out.

    An override named with a dot, `evaluation.samples`, reaches into a section.
    """
    return parse_grid(read_yaml("grid", name, GRIDS, overrides))


def read_yaml(what: str, name: str, folder: Path, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The record in `folder`/`name`.yaml, or in the .yaml file of that name, with overrides put in."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    try:
        data = path.read_bytes()
    except (OSError, ValueError):  # no file, a folder, no permission, no name that a file can have
        ready = ", ".join(sorted(file.stem for file in folder.glob("*.yaml")))
        raise InputError(what, f"be one of {ready}", name, "or name a .yaml file") from None
    record = parse_yaml(data, f"{what} {path}")
    if not isinstance(record, dict):
        raise InputError(f"{what} {path}", "be a mapping of fields", type(record).__name__)
    for field, value in overrides.items():
        if value is None:
            continue
        *sections, last = field.split(".")
        target = record
        for section in sections:
            target = target.setdefault(section, {})
            if not isinstance(target, dict):
                raise InputError(f"{what}.{section}", "be a mapping of fields", target)
        target[last] = value
    return record


def parse_grid(record: dict[str, Any]) -> GridConfig:
    """A GridConfig from plain data; the first thing wrong with it is an InputError."""
    return validated(GridConfig, record, "grid")


def validated(model: type[Model], record: Any, what: str) -> Model:
    """A config from plain data; the first thing wrong with it is an InputError that names the field of `what`."""
    try:
        return model.model_validate(record)
    except ValidationError as error:
        known = f"be one of {', '.join(model.model_fields)}"
        raise explained(what, error, rules=LIMITS | {"extra_forbidden": known}) from None
