"""Keys and cards name the packages of components that are not ours, and only those."""

from dataclasses import replace

import pytest

from flows.config import load_grid
from flows.pipeline.plan import make_plan
from lsd_core.candidates.spec import CandidateSpec
from lsd_core.errors import InputError


def ours() -> CandidateSpec:
    return make_plan(load_grid("tiny")).candidates[0]


def test_components_of_ours_are_no_part_of_a_key() -> None:
    spec = ours()
    assert spec.components == {}
    assert "components" not in spec.to_dict()
    assert CandidateSpec.from_dict(spec.to_dict()) == spec


def test_the_key_follows_package_and_version_of_others() -> None:
    spec = ours()
    named = {"lsd.samplers:euler": ("lsd-samplers", 1)}
    keys = {
        replace(spec, components=components).key
        for components in (
            {},
            named,
            {"lsd.samplers:euler": ("lsd-samplers", 2)},
            {"lsd.samplers:euler": ("other", 1)},
        )
    }
    assert len(keys) == 4
    assert CandidateSpec.from_dict(replace(spec, components=named).to_dict()).components == named


def test_a_spec_whose_package_is_missing_says_what_to_install() -> None:
    record = replace(ours(), components={"lsd.methods:quantile": ("lsd-gone", 1)}).to_dict()
    with pytest.raises(
        InputError, match="method quantile must be installed, got no lsd-gone; pip install lsd-gone"
    ):
        CandidateSpec.from_dict(record)
