"""Every kind of op runs natively with the integers of the reference, on every target and in any pieces."""

import resource
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fewbit.errors import DecodeError
from fewbit.native import targets
from fewbit.program import Reference, ops
from fewbit.program.native_run import Native
from fewbit.program.numerics import Rescale
from tests.native.graph_cases import CASES
from tests.native.graph_check import check, features
from tests.native.graph_draft import Draft

pytestmark = pytest.mark.skipif(not targets(), reason="fewbit was installed without a C++ compiler")


def test_there_is_a_case_for_every_kind():
    assert set(CASES) == set(ops.KINDS)


@pytest.mark.parametrize("kind", CASES)
def test_native_runs_give_the_integers_of_the_reference(kind):
    @settings(max_examples=40, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1))
    def law(seed):
        draft = Draft(np.random.default_rng(seed))
        CASES[kind](draft)
        assume(check(draft))

    law()


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_streams_of_one_rate_and_many_delays_meet(seed):
    """Branches step through time alike, but each looks ahead as far as it likes."""
    draft = Draft(np.random.default_rng(seed))
    strides = [draft.number(1, 3) for _ in range(draft.number(0, 3))]
    ends, same = [], Rescale(np.array([3]), 2, -127, 127)
    for _ in range(draft.number(2, 4)):
        last = draft.source(2, (-127, 127))
        for stride in strides:
            kernel = draft.number(1, 4)
            left, right = draft.number(0, kernel - 1), draft.number(0, kernel - 1)
            last = draft.add(ops.Pool, draft.number(0, 1), 2, kernel, stride, same, left, right, inputs=(last,))
        ends.append(last)
    multiplier = np.full(len(ends), 200)
    draft.add(ops.Sum, multiplier, 0, np.array([1]), -300, 300, inputs=tuple(ends))
    draft.add(ops.Take, np.array([1, -2, 3, 4]), inputs=(draft.ops[-1].name, ends[0]))
    assert check(draft)


@pytest.mark.parametrize("kind", CASES)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_damaged_state_does_no_harm(kind, seed):
    """It is refused, or gives some integers."""
    rng = np.random.default_rng(seed)
    draft = Draft(rng)
    CASES[kind](draft)
    x = features(draft, 9)
    native = Native(draft.ops, block=4)
    _, state = native.step(x, native.init_state())
    for _ in range(20):
        damaged = state.copy()
        place = rng.integers(0, len(state)) if rng.random() < 0.7 else rng.integers(0, 4)
        damaged[place] = rng.choice([-(2**31), 2**31 - 1, -1, 0, 1, int(state[place]) ^ (1 << int(rng.integers(31)))])
        with suppress(DecodeError):
            y, after = native.step(x, damaged, bool(rng.random() < 0.5))
            assert y.shape[1:] == (draft.value(draft.ops[-1].name).size,)
            assert after.shape == state.shape


def small(**changes):
    """A network of a table and positions, which end."""
    draft = Draft(np.random.default_rng(3))
    table = draft.matrix(7, 4, grouped=False)
    return [
        ops.Lookup("table", table, Rescale(np.array([1]), 0, -8, 7), **changes),
        ops.Positions("positions", 4, np.arange(20, dtype=np.int16), inputs=("table",)),
        ops.Sum("sum", np.array([256, 256]), 0, np.array([0]), -99, 99, inputs=("table", "positions")),
    ]


def test_what_a_stream_cannot_do_is_said():
    native = Native(small())
    start = native.init_state()
    for symbol in (-1, 7, 0.5, np.nan, np.inf, 1e30):
        with pytest.raises(DecodeError, match="symbol that is no integer"):
            native.step(np.full((1, 1), symbol, np.float32), start)
    _, state = native.step(np.zeros((5, 1), np.float32), start)
    with pytest.raises(DecodeError, match="longer than the network's table of positions"):
        native.step(np.zeros((1, 1), np.float32), state)
    with pytest.raises(DecodeError, match="damaged, or of another"):
        Native(small(first=1)).step(np.zeros((1, 2), np.float32), state)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("groups", [1, 3])
def test_a_kernel_with_places_far_apart_takes_no_memory_for_its_padding(channels, groups):
    far = (1 << 23) - 1
    grid = ops.Grid(2, 1, 2, 1, dilation_height=far, top=far)
    draft = Draft(np.random.default_rng(5))
    name = draft.source(2 * channels * groups, (-127, 127))
    product = draft.linear(3, 2 * channels, name, (-127, 127), grouped=False)
    draft.add(ops.Conv, 1, 1, *product, 1, 0, 0, groups, grid)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    native = Native(draft.ops)
    x = features(draft, 64)
    wanted = Reference(draft.ops).step(x, Reference(draft.ops).init_state(), True)[0]
    assert np.array_equal(native.step(x, native.init_state(), True)[0], wanted)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB; with the padding 500 MB and more


def large():
    """Ops with enough to do that threads share it, each with the frames that it runs on."""
    draft = Draft(np.random.default_rng(5))
    picture = ops.Grid(32, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1)
    signal = Rescale(np.array([1 << 10]), 14, -127, 127)

    def conv(rows: int, columns: int, groups: int) -> ops.Conv:
        return ops.Conv(
            "op", 1, 1, draft.matrix(rows, columns, False), np.zeros(rows, np.int64), signal, 1, -1, 0, groups, picture
        )

    def attend(places: int, window: int) -> ops.Attend:
        rescale = Rescale(np.array([1]), 15, -127, 127)
        reads = ("x", "x", "x")
        return ops.Attend("op", 4, 4, 64, places, window, 1 << 12, 16, rescale, np.array([1]), inputs=reads)

    yield conv(16, 16 * 9, 1), 16 * 1024, 1
    yield conv(64, 9, 64), 64 * 1024, 1
    yield conv(32, 8 * 9, 4), 32 * 1024, 1
    yield ops.Dense("op", draft.matrix(128, 64), np.zeros(128, np.int64), signal, 300), 64 * 300, 1
    yield ops.Dense("op", draft.matrix(700, 600), np.zeros(700, np.int64), signal), 600, 40
    yield attend(100, 0), 100 * 256, 1
    yield attend(0, 0), 256, 150
    yield attend(0, 1500), 256, 1600


@pytest.mark.parametrize("case", range(8))
def test_work_that_threads_share_gives_the_same_integers(case):
    op, size, frames = list(large())[case]
    rng = np.random.default_rng(case)
    gain = np.full(1, 60, np.float32)
    chain = (ops.Quantize("x", gain, np.zeros(1, np.float32), -127, 127, size), op)
    x = rng.normal(size=(frames, size)).astype(np.float32)
    runs = [Native(chain, threads=threads) for threads in (1, 2, 3)]
    results = [run.step(x, run.init_state())[0] for run in runs]
    assert np.std(results[0]) > 1
    for result in results[1:]:
        assert np.array_equal(result, results[0])
    if frames < 200:
        reference = Reference(chain)
        assert np.array_equal(reference.step(x, reference.init_state())[0], results[0])
