"""One way to refuse input: say which field, which rule, what was given, and what to do."""

from typing import Any


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
        text = f"{self.field} must {self.rule}, got {shown}"
        return f"{text}; {self.remedy}" if self.remedy else text


class Unreachable(InputError):
    """A place that does not answer now. Before work starts it is wrong input; in the middle of it, it may pass."""
