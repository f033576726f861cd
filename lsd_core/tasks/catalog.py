"""The tasks by name, and the task that a backbone declares."""

from lsd_core.backbones.catalog import BACKBONES
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.plugins import Registry, instance_of
from lsd_core.tasks.task import Task

DEFAULT = "sequences"  # needs no data and no judge but the network itself

TASKS: Registry[Task] = Registry("lsd.tasks", instance_of(Task))


def get_task(name: str) -> Task:
    """The task of that name."""
    return TASKS[name]


def task_of(backbone: AnyBackbone) -> str:
    """Name of the task that a backbone declares: in the catalog, by its class, or in its configuration.

    One that declares none is judged as sequences, unless a grid names its `task`.
    """
    if backbone.name in BACKBONES:
        return BACKBONES[backbone.name].task
    declared = getattr(backbone, "task", None) or backbone.config.get("task")
    return str(declared or DEFAULT)
