"""How ops hang together: names, rates, lateness, queues, limits."""

from dataclasses import replace

import numpy as np
import pytest

from fewbit.errors import DecodeError, LoweringError
from fewbit.program import Program, Reference, ops
from fewbit.program.graph import Timing, make_graph
from fewbit.program.limits import MAX_INPUTS, MAX_TOTAL
from fewbit.program.ops import Grid
from tests.program.made_by_hand import ONE, matrix, narrow, points, reading, rescale, source, value, vector


def pool(name, kernel, stride=1, left=0, right=0, size=1, **more):
    return ops.Pool(name, 0, size, kernel, stride, narrow(), left, right, **more)


def total(name="sum", count=2):
    return ops.Sum(name, np.full(count, 256), 0, vector(0), -(2**15), 2**15 - 1)


def take(name, *index):
    return ops.Take(name, vector(*index))


def test_an_op_reads_the_one_before_it_or_those_that_it_names():
    graph = make_graph(
        (source(2), take("a", 1), reading(take("b", 2), "x"), reading(take("c", 1, 2), "b", "a"), take("d", 2))
    )
    assert graph.inputs == ((), (0,), (0,), (2, 1), (3,))
    assert [each.name for each in graph.values] == ["x", "a", "b", "c", "d"]
    assert graph.features == 2
    run = Reference(graph.ops)
    assert run.step(np.array([[3, 5]], np.float32), run.init_state())[0].tolist() == [[3]]


WIRING = [
    ((), "a Program needs at least one op"),
    ((take("a", 1),), "a is the first op and reads nothing, wanted a source such as 'quantize'"),
    ((source(), reading(source(1, "y"), "x")), "y is a source and reads 'x', wanted features"),
    ((source(), reading(take("a", 1), "b"), take("b", 1)), "a reads 'b', and no op before it has that name"),
    ((source(), reading(take("a", 1), "a")), "a reads 'a', and no op before it has that name"),
    ((source(), reading(take("a", 1), "")), "a reads '', and no op before it has that name"),
    ((source(), take("a", 1), take("a", 1), reading(take("b", 1), "a")), "several ops have the name 'a'"),
    ((source(), take("a", 2)), r"op 1 \(take\): 'index' counts beyond the 1 numbers"),
    ((source(), pool("p", 1, 2), reading(total(), "x", "p")), r"sum reads streams of different rates, \[1, 2\]"),
    (
        (source(), ops.Mul("wide", rescale(), inputs=("x", "x")), ops.Mean("m", narrow())),
        r"op 2 \(mean\): wide leaves 16 bits",
    ),
    (
        (source(), ops.Mul("wide", rescale(), inputs=("x", "x")), ops.Reverse("r")),
        r"op 1 \(mul\): its results leave 16 bits, as only scores may",
    ),
    (
        (source(), reading(take("a", 1), *["x"] * (MAX_INPUTS + 1))),
        f"a reads {MAX_INPUTS + 1} ops, more than {MAX_INPUTS}",
    ),
    ((source(2**13), ops.Dense("d", matrix([[1]]), vector(0), narrow(), 2**13)), None),
    (
        (replace(source(1), repeat=2**24 + 1),),
        r"op 0 \(quantize\): it gives 16777217 numbers a frame, wanted 1 to 16777216",
    ),
    ((source(0),), r"op 0 \(quantize\): it gives 0 numbers a frame"),
    (
        (source(), *(pool(f"p{i}", 1, 2**12) for i in range(3))),
        "p2 gives a frame for more than 16777216 frames of the input",
    ),
    ((source(), *(pool(f"p{i}", 1, 2**12) for i in range(2))), None),
    (
        (source(), pool("p", 1, 2**12), pool("q", 2**13, 1)),
        "q gives a frame for more than 16777216 frames of the input",
    ),
]


@pytest.mark.parametrize(("chain", "sentence"), WIRING)
def test_what_cannot_be_wired_is_refused(chain, sentence):
    if sentence is None:
        make_graph(chain)
        return
    with pytest.raises(LoweringError, match=sentence):
        make_graph(chain)


def test_names_that_nobody_reads_may_be_repeated():
    assert make_graph((source(), take("x", 1), take("x", 1))).inputs == ((), (0,), (1,))


def test_scores_may_be_joined_but_not_computed_with():
    wide = ops.Mul("wide", rescale(), inputs=("x", "x"))
    graph = make_graph((source(), wide, reading(take("joined", 1, 2), "wide", "x"), take("again", 2, 1)))
    assert not graph.values[-1].fits_int16
    make_graph((source(), wide, source(1, "y")))  # nobody reads them


@pytest.mark.parametrize(
    ("chain", "timing"),
    [
        ((pool("p", 3, left=2),), (1, 0)),
        ((pool("p", 3, left=1, right=1),), (1, 1)),
        ((pool("p", 3, 2, left=1, right=1),), (2, 1)),
        ((pool("p", 3, 2, left=0), pool("q", 4, 3, left=1)), (6, 2 + 2 * 2)),
        ((pool("p", 2, 5, left=1),), (5, 0)),
        ((pool("p", 1, 4),), (4, 0)),
        ((ops.Conv("c", 3, 2, matrix([[1, 1, 1]]), vector(0), narrow(), dilation=4, left=3, right=5),), (2, 5)),
        ((ops.QRNN("q", 1, 3, matrix(np.ones((3, 3), int)), np.zeros(3, np.int64), narrow(), narrow()),), (1, 0)),
    ],
)
def test_frames_come_when_timing_says(chain, timing):
    graph = make_graph((source(), *chain))
    assert graph.timings[-1] == Timing(*timing)
    run = Reference(graph.ops)
    for frames in range(25):
        y, _ = run.step(np.zeros((frames, 1), np.float32), run.init_state())
        state, found = run.init_state(), 0
        for _ in range(frames):
            one, state = run.step(np.zeros((1, 1), np.float32), state)
            found += len(one)
        assert (
            found
            == len(y)
            == graph.timings[-1].count(frames)
            == sum(timing[0] * j + timing[1] < frames for j in range(99))
        )


def test_early_inputs_wait_in_queues_of_known_size():
    chain = (
        source(),
        pool("late", 5, left=0),
        reading(pool("later", 7, left=0), "x"),
        reading(total(count=3), "x", "late", "later"),
    )
    graph = make_graph(chain)
    assert graph.queues[-1] == (6, 2, 0)
    run = Reference(chain)
    x = np.arange(20, dtype=np.float32)[:, None]
    y, state = run.step(x, run.init_state())
    assert [len(part) for part in state[-1]] == [6, 2, 0]
    wanted = [t + sum(range(t, t + 5)) + sum(range(t, t + 7)) for t in range(14)]
    assert y[:, 0].tolist() == wanted


def test_queues_count_frames_of_the_rate_of_the_join():
    graph = make_graph(
        (source(), pool("a", 2, 2, left=1), reading(pool("b", 6, 2, left=0), "x"), reading(total(), "a", "b"))
    )
    assert graph.timings[-1] == Timing(2, 5)
    assert graph.queues[-1] == (3, 0)


def test_the_end_adds_what_was_held_back_and_what_padding_makes():
    chain = (source(), pool("a", 5, left=4, right=4), pool("b", 4, 3, left=0, right=3))
    graph = make_graph(chain)
    assert graph.tails == (0, 4, 3)
    run = Reference(chain)
    x = np.ones((10, 1), np.float32)
    y, state = run.step(x, run.init_state())
    rest, _ = run.step(x[:0], state, True)
    assert (len(y), len(rest)) == (3, 2)


LIMITS = [
    ("a frame of it is made of", pool("p", 1, grid=Grid(1, 1, 181, 181, top=180, bottom=180, left=180, right=180))),
    ("the state has", pool("p", 2**15, left=0, size=2**12)),
    ("the state has", ops.Attend("p", 1, 1, 2**12, 0, 2**14, 1, 0, narrow(), ONE, inputs=("x", "x", "x"))),
    (
        "the state has",
        ops.Conv("p", 2, 1, matrix(np.ones((1, 2**13), int)), vector(0), narrow(), dilation=2**15),
    ),
]


@pytest.mark.parametrize(("what", "op"), LIMITS)
def test_small_fields_do_not_ask_for_any_amount_of_memory(what, op):
    size = op.size if isinstance(op, ops.Pool | ops.Conv) else 2**12
    with pytest.raises(LoweringError, match=rf"op 1 \({op.kind}\): {what} \d+ numbers, more than {MAX_TOTAL}"):
        make_graph((source(size), op))


def test_attention_among_many_places_is_refused():
    op = ops.Attend("a", 1, 1, 1, 2**14, 0, 1, 0, narrow(), ONE, inputs=("x", "x", "x"))
    with pytest.raises(LoweringError, match="a frame of it is made of 268435456 numbers"):
        make_graph((source(2**14), op))


def test_a_convolution_that_gathers_too_much_is_refused():
    grid = Grid(2**10, 2**10, 15, 15, top=7, bottom=7, left=7, right=7)
    op = ops.Conv("c", 1, 1, matrix(np.ones((1, 225), int)), vector(0), narrow(), grid=grid)
    with pytest.raises(LoweringError, match="a frame of it is made of 236978176 numbers"):
        make_graph((source(2**20), op))


def test_taking_from_a_large_input_many_times_is_refused():
    with pytest.raises(LoweringError, match="a frame of it is made of 134217729 numbers"):
        make_graph((source(2**20), reading(take("t", 1), *["x"] * 128)))


def test_all_values_together_are_limited():
    several = [ops.Reverse(f"r{i}") for i in range(4)]
    make_graph((source(2**24), *several[:3]))
    with pytest.raises(LoweringError, match=r"op 4 \(reverse\): all values of a frame have 83886080 numbers"):
        make_graph((source(2**24), *several))


def test_long_queues_are_limited():
    chain = (source(2**12), reading(pool("late", 2**15, left=0, size=1), "one"), reading(total(), "x", "late"))
    chain = (chain[0], take("one", 1), *chain[1:])
    with pytest.raises(LoweringError, match=r"op 3 \(sum\): the state has \d+ numbers"):
        make_graph(chain)


def test_a_hierarchy_is_limited_by_what_its_parts_keep():
    read = value(1)
    late = ops.Conv("c", 2, 1, matrix(np.ones((1, 2), int)), vector(0), narrow(), dilation=2**23)
    same = ops.Dense("d", matrix([[1, 1]]), vector(0), narrow())
    one = ops.Hierarchy("h", vector(0), 0, (late,), (same,), (same,))
    assert one.state_numbers([read]) == 2**23 + 2
    assert one.is_new()
    many = ops.Hierarchy("h", vector(0), 0, (late,) * 9, (same,), (same,))
    with pytest.raises(LoweringError, match=r"op 1 \(hierarchy\): the state has 75497474 numbers"):
        make_graph((source(), many))


def test_a_hierarchy_of_old_parts_is_written_as_version_1_and_one_of_new_parts_is_not():
    dense, both = (
        ops.Dense("d", matrix([[1]]), vector(0), narrow()),
        ops.Dense("d", matrix([[1, 1]]), vector(0), narrow()),
    )
    old = ops.Hierarchy("h", vector(0), 0, (dense,), (both,), (both,))
    assert not old.is_new()
    for part in (ops.Mean("m", narrow()), replace(dense, places=1, inputs=()), ops.Positions("p", 1, points(1))):
        assert replace(old, letters=(part,)).is_new() == (part.kind != "dense")
    assert rb"\"version\":1" in Program((source(), old)).to_bytes()
    assert rb"\"version\":2" in Program((source(), replace(old, letters=(ops.Mean("m", narrow()),)))).to_bytes()


@pytest.mark.parametrize(
    "op",
    [
        ops.Reverse("all"),
        ops.Attend("all", 1, 1, 1, 0, 0, 1, 0, narrow(), ONE, inputs=("x", "x", "x")),
    ],
)
def test_what_needs_the_whole_input_is_refused_as_a_stream_by_name(op):
    program = Program((source(), op, reading(ops.Reverse("later"), "all")))
    with pytest.raises(
        DecodeError, match=rf"^all \({op.kind}\) needs the whole input at once, so the network cannot run"
    ):
        program.init_state()
    assert program(np.array([[1.0], [2.0]])).shape == (2, 1)


def test_a_program_without_signature_takes_one_array():
    with pytest.raises(DecodeError, match=r"the Program takes 1 array \(frames\), not 2"):
        Program((source(),))(np.zeros((1, 1)), np.zeros((1, 1)))
