"""What the study of residual networks says of made-up rows."""

from studies.evidence.paired_tests import compare
from studies.methods.resnet20 import ARMS, PAIRS, _why_not
from tests.studies.made_up import around


def hypotheses(change):
    middle = {"float": 20.0, "float, retrained": 15.0}
    rows = [
        {"seed": seed, "arm": arm, "test": value}
        for place, arm in enumerate(ARMS)
        for seed, value in enumerate(around((middle | change).get(arm, 16.0), place % 5))
    ]
    return _why_not(rows, compare(rows, PAIRS, "test", ARMS))


def test_a_hypothesis_is_told_only_where_no_method_helps_and_the_float_network_gains():
    (told,) = hypotheses({})
    assert "A hypothesis, which no arm tests" in told
    assert "still gains 5.0 points" in told
    assert hypotheses({"+ KD": 12.0}) == ()
    assert hypotheses({"float, retrained": 20.5}) == ()
