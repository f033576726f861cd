"""Somebody else's text inside a line of Markdown: shown as it is, never read as markup, HTML or a table's border."""

import re

from lsd_core.errors import printable


def escaped(text: object) -> str:
    """The text with a backslash before what Markdown reads; on one line, without control characters."""
    return re.sub(r"([\\`*\[\]<>|~!&$])", r"\\\1", printable(str(text)))


def code(text: object) -> str:
    """The text as a code span, which nothing in it can end."""
    return "`" + printable(str(text)).replace("`", "'") + "`"
