"""The conditions of a grid: templates from a file, from the task, or from the store, and what is refused under them."""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.config import ConditionsConfig
from lsd_core.backbones.protocol import AnyBackbone, absorbing
from lsd_core.errors import InputError
from lsd_core.numerics.names import SPEC_HASH
from lsd_core.samplers.template_file import read_templates
from lsd_core.storage.store import Store
from lsd_core.tasks.catalog import get_task
from lsd_core.trajectories.conditions import Conditions, TemplateSet, read_template_set

TASK = "task"  # the source that stands for the task's own templates


@dataclass(frozen=True)
class Planned:
    """The templates of one backbone, and their two parts."""

    whole: TemplateSet
    learn: Conditions
    """Given to trajectories."""
    held_out: Conditions
    """Given to samples that are measured and to the paths of certificates."""


def planned_conditions(
    section: ConditionsConfig | None, backbone: AnyBackbone, task: str, store: Store | None
) -> Planned | None:
    """The conditions that a grid names, in the tokens of a backbone; None where it names none."""
    if section is None:
        return None
    absorbing(backbone, "grid.conditions")
    whole = _templates(section, backbone, task, store)
    shares = {"held_out": section.held_out, "unconditional": section.unconditional}
    return Planned(whole, whole.conditions("learn", **shares), whole.conditions("held_out", **shares))


def publish_conditions(planned: Sequence[Planned | None], store: Store) -> None:
    """Put the sets on the store, where workers and later runs read them."""
    for each in planned:
        if each is not None:
            each.whole.publish(store)


def _templates(
    section: ConditionsConfig, backbone: AnyBackbone, task: str, store: Store | None
) -> TemplateSet:
    num_tokens = absorbing(backbone, "grid.conditions").process.num_tokens
    if section.source == TASK:
        draw = get_task(task).conditions
        if draw is None:
            remedy = "name a JSONL file of prompts or templates"
            raise InputError("conditions.source", "be a task's own only where it has some", task, remedy)
        return TemplateSet(templates=draw(backbone, section.templates, section.seed), num_tokens=num_tokens)
    if SPEC_HASH.fits(section.source):
        if store is None:
            raise InputError("conditions.source", "be a file where there is no store", section.source)
        found = read_template_set(store, section.source)
        if found.num_tokens != num_tokens or found.templates.shape[1] != backbone.length:
            rule = f"be over {num_tokens} tokens at length {backbone.length}, those of {backbone.name}"
            shown = f"{found.num_tokens} tokens at length {found.templates.shape[1]}"
            raise InputError(f"conditions {section.source}", rule, shown)
        return found
    return TemplateSet(templates=read_templates(backbone, section.source), num_tokens=num_tokens)
