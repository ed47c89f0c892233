"""What study 07 says of made-up rows."""

import pytest

from fewbit.analysis import BitCell, BitGrid
from studies.evidence import verdict
from studies.methods.error_sources_judge import judge
from tests.studies.made_up import NOISE, WILD, around, outcomes

WIDTHS, DEPTHS = (16, 64), (2, 4, 8)
KINDS, WEIGHTS, SIGNALS, BY_DEPTH, BITS, CHOICE = (
    slice(0, 1),
    *(slice(a, b) for a, b in ((1, 4), (4, 7), (7, 11))),
    slice(11, 12),
    slice(12, 13),
)


def row(seed, depth, width, weights, signals, direct, rough=(0.1, 0.5), base=0.05):
    """Errors as what is added to that of the float network."""
    jitter = 0.01 * NOISE[(seed + depth + width) % 5]
    added = {"float": 0.0, "float, direct": 0.0, "weights": weights, "signals": signals, "signals, direct": direct}
    share = {"weights": rough[0], "signals": rough[1]}
    return {"seed": seed, "depth": depth, "width": width} | {
        arm: {"rms": base + more + (jitter if more else 0.0), "roughness": share.get(arm, 0.0) + jitter}
        for arm, more in added.items()
    }


def rows(added=None, **more):
    """Rows whose errors fall with width and grow with depth, as the claim says, or as `added` gives them."""
    added = added or (lambda depth, width: (1.6 / width, 3.2 / width, (1 + depth) / width))
    return [
        row(seed, depth, width, *added(depth, width), **more)
        for seed in range(5)
        for depth in DEPTHS
        for width in WIDTHS
    ]


def grid(name, losses):
    cells = [
        BitCell(seed, None, bits, 0.0, 0.0, 8.0 + loss * (bits == 2))
        for seed, loss in enumerate(losses)
        for bits in (None, 2)
    ]
    return BitGrid(name, "error (%)", tuple(cells))


GRIDS = (grid("wide", around(2.0)), grid("deep", around(9.0, 1)))


def design(values):
    return [{"seed": seed, "test": value} for seed, value in enumerate(values)]


CHOSEN, DEFAULT = design(around(8.0)), design(around(12.0, 2))


def test_the_claim_holds_where_all_parts_are_shown():
    parts = judge(rows(), GRIDS, CHOSEN, DEFAULT)
    assert outcomes(parts) == ["shown"] * 13
    assert verdict(parts) == "holds"


@pytest.mark.parametrize(
    ("maps", "part", "outcome"),
    [
        (rows(rough=(0.5, 0.1)), KINDS, "refuted"),
        (rows(rough=(0.3, 0.3)), KINDS, "refuted"),  # some network's weights are rougher than some other's signals
        (rows(lambda d, w: (0.1, 3.2 / w, d / w)), WEIGHTS, "open"),
        (rows(lambda d, w: (w / 640, 3.2 / w, d / w)), WEIGHTS, "refuted"),
        (rows(lambda d, w: (1.6 / w, w / 640, d / w)), SIGNALS, "refuted"),
        (rows(lambda d, w: (1.6 / w, 3.2 / w, 0.1)), BY_DEPTH, "open"),
        (rows(lambda d, w: (1.6 / w, 3.2 / w, 1 / d)), BY_DEPTH, "refuted"),
    ],
)
def test_each_part_follows_from_the_maps(maps, part, outcome):
    found = outcomes(judge(maps, GRIDS, CHOSEN, DEFAULT))
    assert set(found[part]) == {outcome}
    assert set(found[: part.start] + found[part.stop :]) == {"shown"}


def test_all_neighbouring_depths_count():
    found = outcomes(judge(rows(lambda d, w: (1.6 / w, 3.2 / w, {2: 0.3, 4: 0.1, 8: 0.4}[d])), GRIDS, CHOSEN, DEFAULT))
    assert found[BY_DEPTH] == ["refuted", "shown", "refuted", "shown"]


def test_a_float_network_that_is_worse_is_no_error_of_few_bits():
    deeper = [
        one
        | {arm: found | {"rms": found["rms"] + one["depth"]} for arm, found in one.items() if isinstance(found, dict)}
        for one in rows(lambda d, w: (1.6 / w, 3.2 / w, 0.1))
    ]
    assert set(outcomes(judge(deeper, GRIDS, CHOSEN, DEFAULT))[BY_DEPTH]) == {"open"}


@pytest.mark.parametrize(
    ("wide", "outcome"), [(around(9.0), "open"), (around(20.0), "refuted"), ([9 + wild for wild in WILD], "open")]
)
def test_bits_of_a_wide_and_a_deep_network(wide, outcome):
    parts = judge(rows(), (grid("wide", wide), GRIDS[1]), CHOSEN, DEFAULT)
    assert outcomes(parts)[BITS] == [outcome]


@pytest.mark.parametrize(
    ("chosen", "outcome"), [(around(12.0), "open"), (around(15.0), "refuted"), ([11 + wild for wild in WILD], "open")]
)
def test_the_chosen_design_against_the_default(chosen, outcome):
    assert outcomes(judge(rows(), GRIDS, design(chosen), DEFAULT))[CHOICE] == [outcome]


def test_what_was_not_measured_leaves_its_part_open():
    no_bits = (
        GRIDS[0],
        BitGrid("deep", "error (%)", tuple(cell for cell in GRIDS[1].cells if cell.signal_bits is None)),
    )
    assert outcomes(judge(rows(), no_bits, CHOSEN, []))[11:] == ["open", "open"]


def test_nothing_decided_and_nothing_true():
    tied = rows(lambda d, w: (0.1, 0.1, 0.1), rough=(0.5, 0.1))
    worse = rows(lambda d, w: (w / 640, w / 640, 1 / d), rough=(0.5, 0.1))
    assert verdict(judge(tied, GRIDS[::-1], DEFAULT, CHOSEN)) == "does not hold"
    assert set(outcomes(judge(worse, GRIDS[::-1], DEFAULT, CHOSEN))) == {"refuted"}
