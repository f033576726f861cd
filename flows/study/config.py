"""StudyConfig: a question and the variants that answer it, as a YAML file holds them."""

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from flows.config import (
    Calls,
    Count,
    EvaluationConfig,
    Gpus,
    Section,
    Seed,
    TeacherConfig,
    Workers,
    read_yaml,
    validated,
)
from lsd_core.errors import InputError
from lsd_core.numerics.names import RunName

STUDIES = Path(__file__).parent.parent / "studies"
Kind = Literal["compare", "speed-up", "few-against-many", "budget", "certificates"]


class Variant(Section):
    """One line of a study: a method with its settings, at every NFE of the study."""

    label: str = Field(description="names it; `{name}` stands for a varied setting")
    method: str = Field(description="what fills the cell")
    method_config: dict[str, Any] = Field(default_factory=dict, description="settings other than defaults")
    vary: dict[str, list[Any]] = Field(
        default_factory=dict, description="settings with several values: a variant for each combination"
    )
    sampler: str = Field("euler", description="base sampler")
    teacher: dict[str, Any] = Field(
        default_factory=dict, description="fields of the study's teacher that differ"
    )
    against: str | None = Field(None, description="label of the variant that it is compared with")
    nfe: list[Calls] | None = Field(None, description="budgets of network calls; the study's if left out")
    budget: Count | None = Field(None, description="sequences through the network that learning may cost")
    together: bool = Field(
        False, description="whether its NFEs share one pass over the edges, as path_kl can"
    )

    def combinations(self) -> list["Variant"]:
        """One variant for each combination of the varied settings, labels filled in."""
        made = []
        for values in product(*self.vary.values()):
            settings = dict(zip(self.vary, values, strict=True))
            made.append(
                self.model_copy(
                    update={
                        "label": _filled(self.label, settings),
                        "against": None if self.against is None else _filled(self.against, settings),
                        "method_config": self.method_config | settings,
                        "vary": {},
                    }
                )
            )
        return made


class StudyConfig(Section):
    """A question, and how it is answered."""

    name: RunName = Field(description="names the folder of its results")
    question: str = Field(description="what the study is about")
    kind: Kind = Field("compare", description="how its numbers become a table, a figure and a sentence")
    backbone: str = Field("countdown-exact", description="a name, or a .safetensors file")
    nfe: list[Calls] = Field([8], min_length=1, description="budgets of network calls")
    measure_nfe: list[Calls] | None = Field(
        None, description="those at which samples are drawn; all if left out"
    )
    variants: list[Variant] = Field(min_length=1)
    task: str | None = Field(None, description="what the backbone is judged on; what it declares if left out")
    baseline: str | None = Field(
        None, description="speed-up, few-against-many: label of the variant that the others are held against"
    )
    beat: bool = Field(False, description="compare: whether the variants are held against the exact teacher")
    teacher: TeacherConfig = TeacherConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: Seed = Field(0, description="root of everything random")
    store: str | None = Field(None, description="folder or URL; else LSD_STORE, else ./lsd-data/store")
    ray_address: str | None = Field(
        None, description="Ray cluster; else LSD_RAY_ADDRESS, RAY_ADDRESS, else local"
    )
    workers: Workers | None = Field(None, description="Ray workers; as many as fit if left out")
    num_gpus: Gpus = Field(0, description="GPUs a worker; fractions share one")

    @property
    def expanded(self) -> list[Variant]:
        """The variants, varied settings written out."""
        return [one for variant in self.variants for one in variant.combinations()]

    @property
    def sizes(self) -> str:
        """Said wherever results are shown."""
        of = self.evaluation
        seeds = "1 seed" if of.seeds == 1 else f"{of.seeds} seeds"
        text = f"{of.samples} samples x {seeds}, {self.teacher.trajectories} teacher trajectories"
        small = of.samples < 4096 or of.seeds < 3
        return f"{text}: small sizes; for claims run it with --samples 4096 --seeds 3" if small else text

    @model_validator(mode="after")
    def _labels_fit(self) -> Self:
        variants = self.expanded
        labels = [variant.label for variant in variants]
        if len(set(labels)) < len(labels):
            raise ValueError(f"variants must have labels of their own, got {labels}")
        named = [variant.against for variant in variants] + [self.baseline]
        strangers = [label for label in named if label is not None and label not in labels]
        if strangers:
            raise ValueError(f"`against` and `baseline` must name variants of {labels}, got {strangers}")
        if self.kind in ("speed-up", "few-against-many") and self.baseline is None:
            raise ValueError(f"a study of kind {self.kind} needs a baseline")
        if self.kind == "certificates" and self.evaluation.certificate_paths < 2:
            raise ValueError("a study of certificates needs evaluation.certificate_paths >= 2")
        return self


def study_names() -> list[str]:
    """The ready studies."""
    return sorted(path.stem for path in STUDIES.glob("*.yaml"))


def load_study(name: str, **overrides: Any) -> StudyConfig:
    """A ready study by name, or one from a YAML file; overrides as `load_grid` takes them."""
    return validated(StudyConfig, read_yaml("study", name, STUDIES, overrides), "study")


def teacher_of(study: StudyConfig, variant: Variant) -> TeacherConfig:
    """The study's teacher with the variant's changes."""
    changed = study.teacher.model_dump() | variant.teacher
    return validated(TeacherConfig, changed, f"study.variants.{variant.label}.teacher")


def _filled(text: str, settings: Mapping[str, Any]) -> str:
    try:
        return text.format_map(settings)
    except (KeyError, IndexError, ValueError):
        raise InputError("study.label", f"name only varied settings, {list(settings)}", text) from None
