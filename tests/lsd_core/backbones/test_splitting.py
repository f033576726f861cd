"""Text is cut into tokens that join to it again, in training and where a prompt is read."""

import pytest

from lsd_core.backbones.countdown_chain import exact_backbone
from lsd_core.backbones.markov import MarkovExact
from lsd_core.backbones.splitting import LISTED, splitting
from lsd_core.backbones.vocabulary import PADDING, Vocabulary, written
from lsd_core.errors import InputError
from lsd_core.samplers.prompts import given_tokens

SMILES = ("%12", "Br", "C", "Cl", "[nH]", "c", PADDING)


def test_a_smiles_token_is_an_atom_a_bond_or_a_ring_number() -> None:
    for text, tokens in {
        "CCl.BrB[nH]%12Sc1": "C Cl . Br B [nH] %12 S c 1",
        r"F/C=C\F": "F / C = C \\ F",
        "[13C@@H](N)[O-]>>C%10%11#*": "[13C@@H] ( N ) [O-] > > C %10 %11 # *",
        "~$:@?+-=0s": "~ $ : @ ? + - = 0 s",
    }.items():
        regex = splitting("regex")
        assert regex.cut(text) == tokens.split(" ")
        assert all(map(regex.is_token, regex.cut(text)))


def test_text_that_is_no_smiles_token_comes_out_by_the_character() -> None:
    regex = splitting("regex")
    for text, strays in {
        "C!C": "!",
        "C[nH": "[H",
        "%1": "%",
        "Rh": "Rh",
        "C C": " ",
        "C\nC": "\n",
        "[]": "[]",
    }.items():
        pieces = regex.cut(text)
        assert "".join(pieces) == text
        assert [piece for piece in pieces if not regex.is_token(piece)] == list(strays)


def test_kmers_are_joined_again_whatever_the_length() -> None:
    assert splitting("kmer:3").cut(" ACGTTTA\n") == ["ACG", "TTT", "A"]
    assert splitting("kmer:12").cut("ACG") == ["ACG"]
    assert splitting("kmer:1").cut("ACG") == ["A", "C", "G"]
    for wrong in (
        "kmer",
        "kmer:",
        "kmer:0",
        "kmer:-1",
        "kmer:100",
        "kmer:3 ",
        "kmer:٣",
        "Regex",
        "",
        LISTED + "x",
    ):
        with pytest.raises(InputError, match="split must be one of characters, spaces, regex, kmer:K"):
            splitting(wrong)


def test_the_longest_token_of_a_list_comes_first() -> None:
    listed = splitting(LISTED, ["A", "AB", "ABC", "D", ""])
    assert listed.cut("ABCABAD") == ["ABC", "AB", "A", "D"]
    assert [listed.is_token(piece) for piece in listed.cut("ABxD")] == [True, False, True]


@pytest.mark.parametrize(
    ("split", "tokens", "text", "numbers"),
    [
        ("regex", SMILES, "CCl[nH]%12Br", [2, 3, 4, 0, 1]),
        ("kmer:3", ("A", "ACG", "TTT", PADDING), "ACGTTTA", [1, 2, 0]),
        (LISTED, ("A", "AB", "C"), "ABCA", [1, 2, 0]),
    ],
)
def test_a_vocabulary_keeps_how_it_is_cut(
    split: str, tokens: tuple[str, ...], text: str, numbers: list[int]
) -> None:
    vocabulary = Vocabulary(tokens, "", split)
    assert vocabulary.encode(text) == numbers
    assert vocabulary.decode(numbers) == text
    record = vocabulary.to_dict()
    assert record["split"] == split
    assert Vocabulary.of({"vocabulary": record}) == vocabulary
    with pytest.raises(InputError, match="vocabulary"):
        Vocabulary(tokens)


def test_vocabularies_of_characters_and_words_are_recorded_as_before() -> None:
    assert Vocabulary(("a", "b")).to_dict() == {"tokens": ["a", "b"], "separator": ""}
    assert Vocabulary(("a", "bc"), " ").to_dict() == {"tokens": ["a", "bc"], "separator": " "}
    with pytest.raises(InputError, match="split must be one of"):
        Vocabulary.of({"vocabulary": {"tokens": ["a", "b"], "separator": "", "split": "words"}})


def test_prompts_and_templates_are_cut_as_the_training_data() -> None:
    plain = exact_backbone("mine", 6, len(SMILES))
    vocabulary = Vocabulary(SMILES, "", "regex").to_dict()
    backbone = MarkovExact("mine", plain.config | {"vocabulary": vocabulary}, plain.tensors())
    mask = backbone.process.mask
    for given, numbers in {
        "C[nH]": [2, 4, mask, mask, mask, mask],
        "": [mask] * 6,
    }.items():
        tokens = given_tokens(backbone, given)
        assert tokens is not None
        assert tokens.tolist() == numbers
    tokens = given_tokens(backbone, infill="Cl____[nH]__c", blank="__")
    assert tokens is not None
    assert tokens.tolist() == [3, mask, mask, 4, mask, 5]
    assert written(backbone.config, tokens.clamp(max=len(SMILES) - 1)[None]) == ["Cl[nH]c"]
    for wrong in ("Cl!", "CN"):  # no token at all, and none of this network
        with pytest.raises(InputError, match="prompt must be written in the backbone's tokens"):
            given_tokens(backbone, wrong)


def test_kmers_between_blanks_are_cut_on_their_own() -> None:
    plain = exact_backbone("mine", 4, 4)
    vocabulary = Vocabulary(("A", "ACG", "TTT", PADDING), "", "kmer:3").to_dict()
    backbone = MarkovExact("mine", plain.config | {"vocabulary": vocabulary}, plain.tensors())
    tokens = given_tokens(backbone, infill="ACG_TTTA")
    assert tokens is not None
    assert tokens.tolist() == [1, backbone.process.mask, 2, 0]
