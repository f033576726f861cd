"""One way to refuse input: say which field, which rule, what was given, and what to do."""

from typing import Any

LONGEST = 800  # characters of a value that an error shows


class InputError(ValueError):
    """Input that breaks a rule; found before any work starts and shown as one line.

    Parameters
    ----------
    field: name of the argument, option or file, as the user wrote it.
    rule: what must hold, to be read after "must": "be an integer >= 1".
    value: what was given instead.
    remedy: what to do about it, if known.
    """

    def __init__(self, field: str, rule: str, value: Any, remedy: str = "") -> None:
        self.field, self.rule, self.value, self.remedy = field, rule, value, remedy
        super().__init__(
            field, rule, value, remedy
        )  # all of them, so that the error survives a process boundary

    def __str__(self) -> str:
        shown = self.value if isinstance(self.value, str) else repr(self.value)
        text = f"{shortened(str(self.field))} must {self.rule}, got {shortened(shown)}"
        return printable(f"{text}; {self.remedy}" if self.remedy else text)


def shortened(text: str) -> str:
    """The text, or the begin and the end of a very long one."""
    return (
        text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-40:]} ({len(text)} characters)"
    )


def printable(text: str) -> str:
    """The text on one line, with escapes for what would move a terminal's cursor or cannot be encoded."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


class MissingFileError(InputError):
    """A published file that is not there."""


class Unreachable(InputError):
    """A place that does not answer now. Before work starts it is wrong input; in the middle of it, it may pass."""
