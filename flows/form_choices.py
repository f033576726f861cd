"""Choices in the form of a grid: known names as an enumeration, listed when the form's JSON schema is made."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema


@dataclass(frozen=True)
class Choices:
    """Annotation of a field: its form offers these names. What is valid is checked elsewhere."""

    names: Callable[[], Iterable[str]]
    others: str = ""
    """What may be given in place of a name, as the title of that alternative; nothing if empty."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core)
        listed = {"type": "string", "enum": list(self.names())}
        if not self.others:
            return listed
        return {"anyOf": [listed | {"title": "known"}, schema | {"title": self.others}]}


def _samplers() -> Iterable[str]:
    from lsd_core.samplers.catalog import SAMPLERS  # with torch, once a form is made; so do the others

    return SAMPLERS


def _methods() -> Iterable[str]:
    from lsd_core.distillation.methods import METHODS

    return [*METHODS, "all"]


def _tasks() -> Iterable[str]:
    from lsd_core.tasks.catalog import TASKS

    return TASKS


def _metrics() -> Iterable[str]:
    from lsd_core.metrics.extra import METRICS

    return METRICS


def _backbones() -> Iterable[str]:
    from lsd_core.backbones.catalog import BACKBONES

    return BACKBONES


SamplerName = Annotated[str, Choices(_samplers)]
MethodName = Annotated[str, Choices(_methods)]
TaskName = Annotated[str, Choices(_tasks)]
TeacherName = Annotated[str, Choices(lambda: ["exact", "data", *_samplers()])]
MetricName = Annotated[str, Choices(_metrics, others="a metric with its settings after colons")]
BackboneName = Annotated[
    str, Choices(_backbones, others="hf://OWNER/NAME, python:MODULE:FACTORY, a folder or a file")
]
