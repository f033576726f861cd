"""Files of sequences, read one record at a time: lines, SMILES, CSV and TSV tables, FASTA, each plain or gzipped."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from lsd_core.errors import InputError
from lsd_core.training.text_lines import MOST_CHARACTERS, Ends, Line, text_lines, without_ends

FORMS = {
    ".smi": "smiles",
    ".smiles": "smiles",
    ".csv": "table",
    ".tsv": "table",
    ".fasta": "fasta",
    ".fa": "fasta",
}
HEADINGS = ("smiles", "canonical_smiles", "isomeric_smiles", "smi")


@dataclass
class Reading(Ends):
    """Parts of a file that are no sequences, counted while its records are read."""

    header: str = ""
    """The line that names columns, if there is one."""
    names: int = 0
    """Lines with more behind the sequence; of FASTA, lines of >."""
    incomplete: int = 0
    """Rows without one sequence in the column."""


@dataclass(frozen=True)
class SequenceFile:
    """A file whose name says how sequences are written in it; `column` names that of a table."""

    path: Path
    column: str | None = None

    @property
    def _suffix(self) -> str:
        """The suffix in lower case, without .gz."""
        return Path(self.path.name.lower().removesuffix(".gz")).suffix

    @property
    def form(self) -> str:
        """`lines`, `smiles`, `table` or `fasta`."""
        return FORMS.get(self._suffix, "lines")

    def records(self, reading: Reading) -> Iterator[Line]:
        """The sequences in order, each with the number of a line of it, and an empty one where a line is empty.

        Raises InputError for a file that cannot be read.
        """
        if self.column is not None and self.form != "table":
            raise InputError("column", "be left out for a file that is neither .csv nor .tsv", self.column)
        lines = text_lines(self.path, reading)
        if self.form == "smiles":
            return _first_columns(without_ends(lines), reading)
        if self.form == "fasta":
            return _fasta(lines, self.path, reading)
        return self._cells(lines, reading) if self.form == "table" else without_ends(lines)

    def _cells(self, lines: Iterator[Line], reading: Reading) -> Iterator[Line]:
        """The cells of the column; where none is named and the table has only one, its lines."""
        first = next(((number, line) for number, line in lines if line != "\n"), (0, ""))
        heading, lines = str(first[1]), chain([first], lines)
        delimiter = "\t" if self._suffix == ".tsv" else ","
        if delimiter == "," and "," not in heading and ";" in heading:
            delimiter = ";"
        if self.column is None and delimiter not in heading:
            yield from without_ends(lines)
            return
        rows = csv.reader(_held(lines, self.path), delimiter=delimiter)
        try:
            names = [name.strip() for name in next(rows, [])]
            if self.column is None:
                remedy = "or let its name end with .txt to learn whole lines"
                raise InputError("column", f"be one of {', '.join(names)}", "none", remedy)
            if names and names.count(self.column) != 1:
                raise InputError("column", f"be one of {', '.join(names)}", self.column)
            reading.header = delimiter.join(names)
            for row in rows:
                cell = row[index].strip() if len(row) > (index := names.index(self.column)) else ""
                if row and (len(row) <= index or len(cell.splitlines()) > 1):
                    reading.incomplete += 1
                else:
                    yield rows.line_num, cell
        except csv.Error as error:
            shown = f"{error} in line {rows.line_num}"
            raise InputError(str(self.path), "be a table that can be read", shown) from None


def _held(lines: Iterator[Line], path: Path) -> Iterator[str]:
    """Lines of a table; raises InputError for one that is too long to be held."""
    for number, line in lines:
        if line is None:
            rule = f"have lines of fewer than {MOST_CHARACTERS} characters"
            raise InputError(str(path), rule, f"a longer one, line {number}")
        yield line


def _first_columns(lines: Iterator[Line], reading: Reading) -> Iterator[Line]:
    """What stands before the first white space of each line, without a heading."""
    first = True
    for number, line in lines:
        if line is None or not line.strip():
            yield number, None if line is None else ""
            continue
        column, *name = line.split(maxsplit=1)
        if first and column.lower() in HEADINGS:
            reading.header = line.strip()
        else:
            reading.names += len(name)
            yield number, column
        first = False


def _fasta(lines: Iterator[Line], path: Path, reading: Reading) -> Iterator[Line]:
    """The sequence below each line of >, its lines joined; a line of ; is a comment."""
    begin, size, parts = 0, 0, list[str]()

    def record() -> Iterator[Line]:
        if begin:
            yield begin, None if size > MOST_CHARACTERS else "".join(parts)

    for number, line in lines:
        text = "" if line is None else "".join(line.split())
        if text.startswith(">"):
            yield from record()
            begin, size, parts = number, 0, []
            reading.names += 1
        elif line is None or (text and not text.startswith(";")):
            if not begin:
                remedy = "let its name end with .txt if it holds one sequence a line"
                raise InputError(str(path), "have a line of > before each sequence", text[:40], remedy)
            size += len(text) if line is not None else MOST_CHARACTERS + 1
            parts.append(text)
            if size > MOST_CHARACTERS:
                parts.clear()
    yield from record()
