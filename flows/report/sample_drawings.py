"""Samples side by side: the same seeds through each sampler, as text, pictures, diagrams or bars."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from markupsafe import Markup

from flows.report.charts import WIDTH
from flows.report.page_data import Entry, PageData
from flows.report.shapes import framed
from lsd_core.backbones.protocol import AnyBackbone
from lsd_core.backbones.publish import find
from lsd_core.numerics.number_text import short
from lsd_core.samplers import generate
from lsd_core.tasks.specimen import Diagram, Passage, Picture, Specimen, Strip

COLUMNS = 64  # bars of a strip before it goes on below
ROW = 30
STRIPS = "A bar is a token; red ones break the rule."


@dataclass(frozen=True)
class Exhibit:
    """The samples of one sampler."""

    title: str
    subtitle: str
    drawings: tuple[Markup, ...]
    note: str = ""
    """What a reader must know to read them."""
    entry: Entry | None = None
    """None of the teacher."""


def gallery(data: PageData) -> list[Exhibit]:
    """Plain steps and the champion of each budget, from equal seeds, and the teacher."""
    backbone = find(data.entries[0].spec.backbone.name, data.entries[0].spec.backbone.fingerprint, data.store)
    exhibits = []
    for nfe in data.budgets:
        for entry in dict.fromkeys(filter(None, (data.baseline(nfe), data.champion(nfe)))):
            text = f"{data.task.primary} {short(entry.row.mean)} on all samples"
            title, tokens = f"{entry.row.label}, {nfe} calls", _tokens(data, entry, backbone)
            exhibits.append(replace(_exhibit(data, title, text, tokens, backbone), entry=entry))
    if data.teacher is not None and data.teacher_tokens:
        text = f"{data.task.primary} {short(data.teacher.mean)} on all its sequences"
        exhibits.append(_exhibit(data, data.teacher.label, text, data.teacher_tokens, backbone))
    return exhibits


def _tokens(data: PageData, entry: Entry, backbone: AnyBackbone) -> Sequence[Sequence[int]]:
    """The first of the samples that were measured; drawn again where they were not kept."""
    which = entry.card.seeds.index(entry.card.seed)
    kept = data.results(entry).read_measurement("report", which, 1.0).first
    if kept:
        return kept
    spec, seed = entry.spec, entry.spec.sampling_seed("report", which)
    drawn = generate(backbone, spec.sampler, entry.card.table, 4, seed, batch=4)
    return [[int(token) for token in row] for row in drawn.tokens]


def _exhibit(
    data: PageData, title: str, subtitle: str, tokens: Sequence[Sequence[int]], backbone: AnyBackbone
) -> Exhibit:
    show = data.task.show
    rows = torch.tensor([list(row) for row in tokens])
    specimens = show(rows, backbone) if show else [Passage(" ".join(map(str, row))) for row in tokens]
    drawings = tuple(draw(specimen) for specimen in specimens)
    if any(isinstance(specimen, Picture | Diagram) for specimen in specimens):  # side by side, four across
        drawings = (Markup('<div class="pictures">{}</div>').format(Markup("").join(drawings)),)
    return Exhibit(title, subtitle, drawings, STRIPS if isinstance(specimens[0], Strip) else "")


def draw(specimen: Specimen) -> Markup:
    """One sample as HTML."""
    if isinstance(specimen, Strip):
        return _strip(specimen)
    if isinstance(specimen, Picture):
        return _picture(specimen)
    if isinstance(specimen, Diagram):
        return _diagram(specimen)
    return Markup('<p class="passage">{}</p>').format(specimen.text)


def _strip(strip: Strip) -> Markup:
    """A bar a token; those that break the rule stand out."""
    rows = -(-len(strip.values) // COLUMNS)
    step = WIDTH / min(COLUMNS, len(strip.values))
    paths = {"good": "", "bad": ""}
    for index, (value, wrong) in enumerate(zip(strip.values, strip.wrong, strict=True)):
        row, column = divmod(index, COLUMNS)
        height = 2 + value / max(1, strip.top) * (ROW - 6)
        base = (row + 1) * ROW - 2
        bar = f"M{column * step + 0.4:.1f} {base}v-{height:.1f}h{step - 0.8:.1f}v{height:.1f}z"
        paths["bad" if wrong else "good"] += bar
    body = Markup("").join(
        Markup('<path class="strip-{}" d="{}"/>').format(kind, path) for kind, path in paths.items() if path
    )
    broken = sum(strip.wrong)
    described = f"{len(strip.values)} tokens, {broken} break the rule"
    return framed(body, WIDTH, ROW * rows, described)


def _picture(picture: Picture) -> Markup:
    """A PNG inside the page, its pixels kept square and sharp."""
    from PIL import Image

    mode = {1: "L", 3: "RGB"}[picture.channels]
    sink = io.BytesIO()
    Image.frombytes(mode, (picture.width, picture.height), picture.pixels).save(sink, format="PNG")
    encoded = base64.b64encode(sink.getvalue()).decode()
    return Markup('<img class="picture" alt="a sample" src="data:image/png;base64,{}">').format(encoded)


def _diagram(diagram: Diagram) -> Markup:
    """The drawing as an image, its caption below."""
    encoded = base64.b64encode(diagram.svg.encode()).decode()
    image = Markup('<img class="diagram" alt="{}" src="data:image/svg+xml;base64,{}">').format(
        diagram.caption, encoded
    )
    return Markup('<figure class="diagram">{}<figcaption>{}</figcaption></figure>').format(
        image, diagram.caption
    )
