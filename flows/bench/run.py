"""The benchmarks by name, and running them."""

from collections.abc import Iterator, Sequence
from importlib import import_module

import torch

from flows.bench.figures import Figure, Setting
from flows.bench.questions import QUESTIONS, SLOW
from flows.bench.shapes import get_shape
from lsd_core.errors import InputError


def check(questions: Sequence[str], setting: Setting) -> list[str]:
    """The questions to ask, all the quick ones if none is named; InputError for what cannot be asked."""
    known = (*QUESTIONS, *SLOW)
    for question in questions:
        if question not in known:
            raise InputError("question", f"be one of {', '.join(known)}", question)
    get_shape(setting.shape)
    for name in ("batch", "rounds"):
        if getattr(setting, name) < 1:
            raise InputError(name, "be >= 1", getattr(setting, name))
    if setting.device not in ("cpu", "cuda"):
        raise InputError("device", "be cpu or cuda", setting.device)
    if setting.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device", "be one that is there", "cuda", "use --device cpu")
    if setting.body_dtype not in ("float32", "bfloat16"):
        raise InputError("body", "be float32 or bfloat16", setting.body_dtype)
    return list(questions) or list(QUESTIONS)


def ask(questions: Sequence[str], setting: Setting) -> Iterator[tuple[str, str, list[Figure]]]:
    """Each question with its title and figures, as they are measured."""
    for question in questions:
        module = import_module(f"flows.bench.{question}")
        yield question, module.TITLE, module.ask(setting)
