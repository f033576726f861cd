"""Shared parts of the commands: the app, its two consoles, and the types of common options."""

import re
from typing import Annotated, Any

from cyclopts import App, Group, Parameter
from rich.console import Console
from rich.text import Text


def visible(text: str) -> str:
    """Somebody else's text without what would move a terminal's cursor, break a line or end the output: as escapes."""
    return re.sub(
        "[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", lambda m: repr(m[0])[1:-1], text
    )


class PlainConsole(Console):
    """A console on which text from configs, stores, registries and libraries is text: no markup, no control codes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """As rich renders every string, also those in tables."""
        return super().render_str("\n".join(map(visible, text.split("\n"))), **options)


app = App(
    name="lsd",
    help="Learn few-step samplers for frozen discrete diffusion models, measure them honestly, and use them.",
    version_flags=["--version"],
)
console = PlainConsole()
complaints = PlainConsole(stderr=True, soft_wrap=True)
care = Group("Care of the store and the registry")

Store = Annotated[str | None, Parameter(help="folder or URL; else LSD_STORE, else ./lsd-data/store")]
Registry = Annotated[
    str | None,
    Parameter(name="--registry", help="MLflow; else LSD_TRACKING_URI, MLFLOW_TRACKING_URI, else ./lsd-data"),
]
Source = Annotated[
    str, Parameter(help="models:/NAME@ALIAS, models:/NAME/VERSION, hf://OWNER/NAME, or a card's path or URL")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="print JSON for a program")]
Listed = Parameter(consume_multiple=True, negative="")


def whole(kind: Any, tokens: Any) -> int:
    """An integer as it was typed: 2.5 is not 2."""
    text = tokens[0].value
    if not re.fullmatch("[+-]?[0-9]{1,18}", text):
        raise ValueError(f"must be an integer, got {text}")
    return int(text)


def wholes(kind: Any, tokens: Any) -> list[int]:
    return [whole(int, [token]) for token in tokens]


Whole = Annotated[int, Parameter(converter=whole)]
Wholes = Annotated[list[int] | None, Parameter(converter=wholes, consume_multiple=True, negative="")]
