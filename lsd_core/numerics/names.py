"""Grammars of the names that become parts of paths, store keys, URLs, filters and pages, checked where they enter.

A name read from a card, manifest, weight file, registry, URL or config was written by somebody else. None of these
grammars lets a separator, quote, markup or control character through, or a name that is longer than a file's may be.
"""

import re
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator

from lsd_core.errors import InputError


@dataclass(frozen=True)
class Grammar:
    """The form of one kind of name."""

    what: str
    """Completes "must be"."""
    pattern: str
    """A regular expression that the whole name matches."""
    longest: int = 128
    """Bytes in UTF-8; a file system takes 255, and names get endings."""

    def fits(self, value: Any) -> bool:
        """Whether the value is a string of this grammar."""
        return (
            isinstance(value, str)
            and len(value.encode(errors="surrogatepass")) <= self.longest
            and re.fullmatch(self.pattern, value) is not None
        )

    def check(self, field: str, value: Any) -> str:
        """The value, if it fits; else InputError that names the field."""
        if not self.fits(value):
            raise InputError(field, f"be {self.what}", value)
        return str(value)


_PRINTABLE = "[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+"
_FREE = r"\w(?:[\w .,=+()-]*[\w=+()-])?"

FINGERPRINT = Grammar("64 hexadecimal digits, lower case", r"[0-9a-f]{64}")
"""Of a backbone's tensors and configuration, and of any content by SHA-256."""
SPEC_HASH = Grammar("16 hexadecimal digits, lower case", r"[0-9a-f]{16}")
"""Of a teacher's or candidate's specification: the name of its folder."""
BACKBONE = Grammar(
    "a name of letters, digits and, inside, spaces and _ . , = + ( ) -, at most 128 bytes", _FREE
)
"""Names a folder of trajectories, a registered model, a report."""
RUN = Grammar("a name of letters, digits and, inside, spaces and _ . , = + ( ) -, at most 128 bytes", _FREE)
"""A grid or a study: names the folder of its reports."""
COMPONENT = Grammar("a name of ASCII letters, digits, _ and -, at most 64", r"[A-Za-z0-9_][A-Za-z0-9_-]*", 64)
"""A sampler, method, task, family or process: part of keys, tags and aliases."""
ALIAS = Grammar("an alias of ASCII letters, digits, _ and -, at most 255", r"[A-Za-z0-9_][A-Za-z0-9_-]*", 255)
"""Of a version in the registry: anybody may set one."""
PACKAGE = Grammar("the name of a Python distribution", r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
"""What a remedy says to install."""
REPOSITORY = Grammar("OWNER/NAME on the hub", r"[A-Za-z0-9_][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*", 200)
REVISION = Grammar("a branch, tag or commit", r"(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_./-]*", 200)
LINE = Grammar("one line of text without control characters", _PRINTABLE, 2000)
"""What is only shown: judges, metrics, labels."""

# The same for fields of pydantic's models; whoever explains their errors puts the field's name in.
BackboneName = Annotated[str, AfterValidator(partial(BACKBONE.check, ""))]
ComponentName = Annotated[str, AfterValidator(partial(COMPONENT.check, ""))]
Fingerprint = Annotated[str, AfterValidator(partial(FINGERPRINT.check, ""))]
Line = Annotated[str, AfterValidator(partial(LINE.check, ""))]
RunName = Annotated[str, AfterValidator(partial(RUN.check, ""))]
