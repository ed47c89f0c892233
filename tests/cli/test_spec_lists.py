"""Specs between commas: those of sparse ternary codes stay whole."""

import pytest

from fewbit.cli.network_steps import _formats
from fewbit.cli.spec_lists import split_specs
from fewbit.errors import ArgumentError


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sparse8,2", ["sparse8,2"]),
        ("sparse16,4+norm, sparse8,2:row,int4", ["sparse16,4+norm", "sparse8,2:row", "int4"]),
        ("int8,4,ternary", ["int8", "4", "ternary"]),
        ("sparse4=3,sparse8,8", ["sparse4=3", "sparse8,8"]),
    ],
)
def test_a_comma_within_a_spec_separates_nothing(text, parts):
    assert split_specs(text) == parts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sparse8,2", "sparse8,2"),
        (" sparse4=3 ", "sparse4=3"),
        ("2=sparse8,2,1=sparse4=3,*=int8", {"2": "sparse8,2", "1": "sparse4=3", "*": "int8"}),
        ("=ternary", {"*": "ternary"}),
        ("head=float,*=sparse8,2+norm", {"head": "float", "*": "sparse8,2+norm"}),
    ],
)
def test_weights_by_patterns(text, found):
    assert _formats(text) == found


def test_a_part_without_a_pattern_is_refused():
    with pytest.raises(ArgumentError, match="'sparse8,2' has no format; wanted PATTERN=FORMAT"):
        _formats("2=int8,sparse8,2")
