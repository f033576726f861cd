"""Summary of a file of sequences for a person: what there is to learn from, what was skipped, what repeats."""

from lsd_core.errors import shortened
from lsd_core.training.lines import Lines

FORMS = {
    "lines": "one sequence a line",
    "smiles": "SMILES, the first column",
    "table": "a table",
    "fasta": "FASTA",
}


def remarks(lines: Lines, split: str) -> str:
    """Up to four lines: the sizes, the file's form, the lines left out by reason, the duplicates."""
    sizes = (
        f"{len(lines.train)} sequences of up to {lines.length} tokens out of {len(lines.vocabulary.tokens)}"
    )
    if len(lines.held_out):
        sizes += f"; {len(lines.held_out)} more are held out"
    repeated = lines.survey.repeated
    duplicates = f"duplicates: {repeated}, learned from as often as they occur" if repeated else ""
    return "\n".join(line for line in (sizes, _form(lines), _left_out(lines, split), duplicates) if line)


def _form(lines: Lines) -> str:
    """How the file is written, and its parts that are no sequences."""
    reading = lines.survey.reading
    skipped = {
        f"the header {shortened(repr(reading.header))}": bool(reading.header),
        f"{reading.names} {'lines of >' if lines.form == 'fasta' else 'names'}": reading.names,
        "a byte order mark": reading.mark,
        "carriage returns": reading.returns,
    }
    shown = ", ".join(part for part, there in skipped.items() if there)
    if lines.form == "lines" and not shown:
        return ""
    return f"read as {FORMS[lines.form]}" + (f"; skipped: {shown}" if shown else "")


def _left_out(lines: Lines, split: str) -> str:
    """Lines that are not learned from, counted by reason, with the first of each."""
    survey = lines.survey
    first, incomplete = survey.first, survey.reading.incomplete
    reasons = {
        f"{survey.longer} longer than --length {lines.length} (first: {first.get('longer')})": survey.longer,
        f"{survey.empty} empty": survey.empty,
        f"{incomplete} without one sequence in the column": incomplete,
        f"{survey.unknown} with what is no token of --split {split} (first: {first.get('unknown')})": survey.unknown,
    }
    shown = ", ".join(reason for reason, there in reasons.items() if there)
    return f"left out: {shown}" if shown else ""
