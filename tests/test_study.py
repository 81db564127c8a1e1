"""Pairs of blocks are expanded and checked; objectives are read without importing them."""

import pytest

from distillation_dynamics.errors import StudyError
from distillation_dynamics.study import expand_pairs, objective_names


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("first", [(0, 0)]),
        ("last", [(11, 23)]),
        ("last2", [(10, 22), (11, 23)]),
        ([3, 7], [(3, 7)]),
        (["first", "last"], [(0, 0), (11, 23)]),
        ([[0, 0], [11, 23]], [(0, 0), (11, 23)]),
    ],
)
def test_pairs_may_be_named_or_explicit(value, expected):
    assert expand_pairs(value, 12, 24, "pairs") == expected


@pytest.mark.parametrize("value", ["last13", [12, 0], [0, 24], [-1, 0], "middle", [], ["first", [0, 0]], True])
def test_a_block_that_a_model_does_not_have_is_refused_by_key(value):
    with pytest.raises(StudyError, match=r"variants\.x\.spectral\.pairs"):
        expand_pairs(value, 12, 24, "variants.x.spectral.pairs")


def test_every_objective_file_is_a_known_objective():
    assert objective_names() == ["cross_entropy", "hard", "projector", "soft", "spectral"]
