"""Text from a card is text in the registry's Markdown: no markup, HTML, link, image or border of a table of its own."""

import json
from collections.abc import Callable

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from lsd_core.cards import SamplerCard
from lsd_core.errors import InputError
from lsd_core.numerics.markdown import code, escaped
from lsd_core.registry.card_fields import describe, tags_of

EVIL = [
    "<script>alert(1)</script>",
    "![x](https://elsewhere.example/x.png)",
    "[official weights](https://elsewhere.example)",
    "a | **0** | `b`",
    "</td><img src=//elsewhere.example>",
    "``` <b>",
    "\\<b>",
    "&lt;b&gt; *x* ~~y~~",
    "<https://elsewhere.example>",
]
MARKUP = {"html_inline", "html_block", "image", "link_open", "em_open", "s_open"}


def parts(text: str) -> list[Token]:
    found = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)
    return [token for each in found for token in (each, *(each.children or ()))]


@pytest.mark.parametrize("evil", EVIL)
def test_a_card_brings_no_markup(make_card: Callable[..., SamplerCard], evil: str) -> None:
    record = json.loads(make_card().to_json())
    calm = parts(describe(make_card(certificate={"kind": "reverse"}), "models:/tiny/1"))
    evaluation = record["evaluation"]
    evaluation["judge"] = evaluation["primary"] = evil
    for part in ("selection", "report"):
        evaluation[part][evil] = evaluation[part].pop("error")
    record["certificate"] = {"kind": evil}
    text = describe(SamplerCard.from_json(json.dumps(record)), "models:/tiny/1")
    found = parts(text)
    assert not MARKUP & {token.type for token in found}
    assert [token.type for token in found if token.nesting] == [t.type for t in calm if t.nesting]
    shown = "".join(token.content for token in found if token.type in ("text", "text_special"))
    assert shown.count(evil) == 3  # headline, table, certificate: as it was written


def test_escapes_leave_ordinary_names_alone() -> None:
    for name in ("unigram_entropy", "wrong_copy", "judge_nll", "0.25 (0.2 to 0.3)", "mauve:gpt2:a/b.txt"):
        assert escaped(name) == name
    assert escaped("a\nb\x1b") == "a\\\\nb\\\\x1b"
    assert code("a`b") == "`a'b`"


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        ({"a\n# b": 1}, "a name in card.certificate must be"),
        ({"reverse": {"<b>": 1}}, "a name in card.certificate.reverse must be"),
        ({"value_nats": "0.1"}, "card.certificate.value_nats must be a number"),
        ({"standard_error": True}, "card.certificate.standard_error must be a number"),
        ({"sequences": []}, "card.certificate.sequences must be a number"),
        ({"kind": "a\nb"}, "card.certificate.kind must be one line of text"),
        ({"reference": ["x"]}, "card.certificate.reference must be text or a number"),
    ],
)
def test_a_certificate_is_of_names_lines_and_numbers(
    make_card: Callable[..., SamplerCard], certificate: dict[str, object], words: str
) -> None:
    text = json.dumps(json.loads(make_card().to_json()) | {"certificate": certificate})
    with pytest.raises(InputError) as caught:
        SamplerCard.from_json(text)
    assert words in str(caught.value)


GIVEN = {
    "digest": "0123456789abcdef",
    "part": "held_out",
    "held_out": 0.5,
    "templates": 4,
    "free": [2, 3],
    "unconditional": 0.0,
}


@pytest.mark.parametrize(
    "change",
    [
        {"digest": "../../x"},
        {"digest": "<b>"},
        {"part": "all"},
        {"held_out": "0.5"},
        {"held_out": 1},
        {"unconditional": -0.1},
        {"templates": 0},
        {"templates": "4"},
        {"free": 3},
        {"free": [3, 2]},
        {"free": [2, "3"]},
        {"more": 1},
    ],
)
def test_conditions_of_a_card_are_what_we_write(
    make_card: Callable[..., SamplerCard], change: dict[str, object]
) -> None:
    record = json.loads(make_card().to_json())
    record["evaluation"]["conditions"] = GIVEN
    assert tags_of(SamplerCard.from_json(json.dumps(record)), None)["given"] == "01234567"
    record["evaluation"]["conditions"] = GIVEN | change
    with pytest.raises(InputError, match="conditions"):
        SamplerCard.from_json(json.dumps(record))
