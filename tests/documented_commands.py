"""Checks of the commands that the documentation prints: each is parsed by its own program, none is run."""

import json
import re
import shlex
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from uuid import UUID

import click
from cyclopts import App, MissingArgumentError

from flows.cli import app
from flows.config import GridConfig, grid_names
from flows.study.config import study_names
from infra.docs_site import ROOT

EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TARGETS = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
DEPLOYMENTS = {"lsd/distill-grid", "teacher/teacher"}
NAME = "[a-z0-9][a-z0-9-]*"  # in capitals it stands for one


def parsed(program: App, arguments: list[str], *, whole: bool) -> None:
    """Raise unless the program takes these arguments; without `whole` some may be missing."""
    try:
        program.parse_args(arguments, exit_on_error=False, print_error=False)
    except MissingArgumentError:
        if whole:
            raise


def lsd(arguments: list[str], whole: bool) -> None:
    """The program takes them, and a grid or study that is named is there."""
    parsed(app, arguments, whole=whole)
    named = {"study": study_names()} | dict.fromkeys(("grid", "plan", "teacher", "submit"), grid_names())
    if arguments[0] in named and len(arguments) > 1 and re.fullmatch(NAME, arguments[1]):
        assert arguments[1] in named[arguments[0]], arguments


def prefect(arguments: list[str], whole: bool) -> None:
    """Prefect takes them; deployments and the configs given to them are ours."""
    from prefect.cli._app import _app  # the public `app` reads sys.argv and runs

    arguments = [str(UUID(int=0)) if word == "ID" else word for word in arguments if word != "--no-prompt"]
    parsed(_app, arguments, whole=whole)
    if arguments[:2] == ["deployment", "run"]:
        assert arguments[2] in DEPLOYMENTS, arguments
        for config in [word.removeprefix("config=") for word in arguments if word.startswith("config=")]:
            known = config in grid_names() if re.fullmatch(NAME, config) else GridConfig(**json.loads(config))
            assert known, config


def mlflow(arguments: list[str], whole: bool) -> None:
    """MLflow's own commands take them."""
    from mlflow.cli import cli

    command, rest = cli, list(arguments)
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), rest[0])
        assert found is not None, arguments
        command, rest = found, rest[1:]
    command.make_context("mlflow", rest)


def make(arguments: list[str], whole: bool) -> None:
    """The Makefile has the targets."""
    for word in arguments:
        assert "=" in word or word.rstrip(".") in TARGETS, word


def pip(arguments: list[str], whole: bool) -> None:
    """The extras are ours, and the constraints are a file."""
    for word, after in zip(arguments, [*arguments[1:], ""], strict=True):
        for extra in re.sub(r"^\.\[(.*)\]$|.*", r"\1", word).split(","):
            assert not extra or extra in EXTRAS, extra
        assert word != "-c" or (ROOT / after).is_file(), after


def python(arguments: list[str], whole: bool) -> None:
    """A module that is run is there."""
    if arguments[0] == "-m" and arguments[1] != "pip":
        assert find_spec(arguments[1]) is not None, arguments[1]


CHECKS: dict[str, Callable[[list[str], bool], None]] = {
    "lsd": lsd,
    "make": make,
    "mlflow": mlflow,
    "pip": pip,
    "prefect": prefect,
    "python": python,
}
UNPARSED = {"hf", "docker", "kubectl", "cp", "export", "set", "."}
"""Of these only the files of ours that they name are looked for."""


def words_of(line: str) -> list[str]:
    """A command's words, without its comment, the variables before it and the folder of its program."""
    words = shlex.split(line, comments=True)
    while words and re.match("[A-Z_]+=", words[0]):
        words = words[1:]
    return [words[0].removeprefix(".venv/bin/"), *words[1:]] if words else []


def check(line: str, *, whole: bool) -> None:
    """Raise unless the line is a command of a known program, with arguments that it takes."""
    program, *arguments = words_of(line)
    assert program in CHECKS or program in UNPARSED, line
    for path in re.findall(r"(?<![\w/])infra/[\w./-]*\w", line):
        assert (ROOT / path).exists() or path == "infra/compose/.env", path
    if program in CHECKS:
        CHECKS[program](arguments, whole)
