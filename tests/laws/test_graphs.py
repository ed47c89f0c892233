"""Laws of graphs: the integers do not depend on chunks, storage or executor, and sizes and times are as foretold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fewbit.errors import DecodeError
from fewbit.native import targets
from fewbit.program import Program, Reference, load, ops
from fewbit.program.graph import make_graph
from fewbit.program.native_run import Native, fits
from fewbit.program.ops import Step
from fewbit.testing import splits
from tests.laws.random_graphs import graphs

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(0, 40)
cuts = st.lists(st.integers(0, 40), max_size=6) | st.just(list(range(41)))  # frame by frame
loudness = st.sampled_from((1.0, 1.0, 20.0, 0.0))


def law(examples):
    return settings(max_examples=examples, deadline=None, suppress_health_check=SLOW)


def frames(case, seed, count, loud=1.0):
    return case.frames(np.random.default_rng(seed), count, loud)


def run_in_pieces(executor, x, where, last=False):
    """Outputs of pieces, joined, and the last state; the end comes with the last piece."""
    pieces = [x[piece] for piece in splits(len(x), [cut % (len(x) + 1) for cut in where])] or [x]
    state, found = executor.init_state(), []
    for i, piece in enumerate(pieces):
        y, state = executor.step(piece, state, last and i == len(pieces) - 1)
        found.append(y)
    return np.concatenate(found), state


def op_by_op(case, x):
    """The graph, and what each of its ops gives for a whole input."""
    graph, found = make_graph(case.ops), []
    for op, places in zip(graph.ops, graph.inputs, strict=True):
        xs = [found[place] for place in places] or [x]
        ready = min(len(part) for part in xs)
        found.append(op.run([part[:ready] for part in xs], op.start(), Step(op.prepare(), True))[0])
    return graph, found


def foretold(graph, frames):
    """How many frames each op gives for a whole input: what its windows, with their padding, find."""
    counts = []
    for op, places in zip(graph.ops, graph.inputs, strict=True):
        window, read = op.window, min([counts[place] for place in places], default=frames)
        counts.append(max(0, (read + window.left + window.right - window.reach) // window.stride + 1))
    return counts


def numbers(state):
    """How many integers a state holds, apart from counts and from what has not begun."""
    if isinstance(state, np.ndarray):
        return state.size
    return sum(map(numbers, state)) if isinstance(state, tuple) else 0


@law(90)
@given(case=graphs(), count=lengths, where=cuts, seed=seeds, loud=loudness, last=st.booleans())
def test_any_split_gives_the_same_integers_and_the_same_continuation(case, count, where, seed, loud, last):
    run = Reference(case.ops)
    x, more = frames(case, seed, count, loud), frames(case, seed + 1, 15)
    whole, after = run.step(x, run.init_state(), last)
    joined, state = run_in_pieces(run, x, where, last)
    assert np.array_equal(joined, whole)
    if not last:
        wanted, _ = run.step(more, after, True)
        found, _ = run.step(more, state, True)
        assert np.array_equal(found, wanted)


@law(60)
@given(case=graphs(), count=lengths, early=lengths, seed=seeds)
def test_later_input_changes_no_earlier_output_and_frames_come_when_timing_says(case, count, early, seed):
    run = Reference(case.ops)
    timing = make_graph(case.ops).timings[-1]
    x = frames(case, seed, count)
    first, _ = run.step(x[:early], run.init_state())
    whole, _ = run.step(x, run.init_state())
    other, _ = run.step(np.concatenate([x[:early], frames(case, seed + 1, count)]), run.init_state())
    assert len(first) == timing.count(len(x[:early]))
    assert len(whole) == timing.count(count)
    assert np.array_equal(whole[: len(first)], first)
    assert np.array_equal(other[: len(first)], first)


@law(60)
@given(case=graphs(), count=lengths, seed=seeds, where=cuts)
def test_the_end_gives_exactly_the_frames_of_the_padded_windows(case, count, seed, where):
    run, graph = Reference(case.ops), make_graph(case.ops)
    x = frames(case, seed, count)
    wanted = foretold(graph, count)[-1]
    whole, _ = run.step(x, run.init_state(), True)
    open_, state = run_in_pieces(run, x, where)
    rest, _ = run.step(x[:0], state, True)
    assert len(whole) == wanted
    assert len(rest) <= graph.tails[-1]
    assert np.array_equal(np.concatenate([open_, rest]), whole)


@law(60)
@given(case=graphs(), seed=seeds, where=cuts)
def test_states_and_queues_stay_within_their_sizes(case, seed, where):
    run, graph = Reference(case.ops), make_graph(case.ops)
    state = run.init_state()
    x = frames(case, seed, 40)
    joins = [i for i, places in enumerate(graph.inputs) if len(places) > 1]
    for piece in splits(len(x), where):
        _, state = run.step(x[piece], state)
        for i, (op, places) in enumerate(zip(graph.ops, graph.inputs, strict=True)):
            read = [graph.values[place] for place in places]
            assert numbers(state[i]) <= op.state_numbers(read), op
        for i, waiting in zip(joins, state[len(graph.ops) :], strict=True):
            assert all(len(part) <= most for part, most in zip(waiting, graph.queues[i], strict=True))


@law(60)
@given(case=graphs(whole=True), count=lengths, seed=seeds, loud=loudness)
def test_results_lie_within_the_range_that_each_op_declares(case, count, seed, loud):
    graph, found = op_by_op(case, frames(case, seed, count, loud))
    run = Reference(case.ops)
    for op, value, y in zip(graph.ops, graph.values, found, strict=True):
        assert y.dtype == np.int64
        assert y.shape[1:] == (value.size,), op
        assert y.size == 0 or value.low <= y.min() <= y.max() <= value.high, op
    assert [len(y) for y in found] == foretold(graph, count)
    assert np.array_equal(run.step(frames(case, seed, count, loud), run.init_state(), True)[0], found[-1])


@law(40)
@given(case=graphs(whole=True), count=lengths, seed=seeds)
def test_a_saved_graph_comes_back(case, count, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "x.fewbit"
    program = Program(case.ops)
    again = load(program.save(path))
    assert again.to_bytes() == program.to_bytes() == path.read_bytes()
    assert again.graph.values == program.graph.values
    assert [op.inputs for op in again.ops] == [op.inputs for op in case.ops]
    x = frames(case, seed, count)
    one, other = Reference(case.ops), Reference(again.ops)
    wanted = one.step(x, one.init_state(), True)[0]
    assert np.array_equal(other.step(x, other.init_state(), True)[0], wanted)


@law(30)
@given(case=graphs(whole=True, most=12))
def test_what_needs_the_whole_input_refuses_to_be_a_stream(case):
    program = Program(case.ops)
    whole = [op for op in case.ops if isinstance(op, ops.Reverse) or (isinstance(op, ops.Attend) and op.whole)]
    assert program.graph.whole is (whole[0] if whole else None)
    if whole:
        with pytest.raises(DecodeError, match=rf"^{whole[0].name} \({whole[0].kind}\) needs the whole input at once"):
            program.init_state()


@pytest.mark.skipif(not targets(), reason="no native library")
@pytest.mark.parametrize("target", targets())
@law(60)
@given(
    case=graphs(),
    count=lengths,
    where=cuts,
    block=st.integers(1, 50),
    threads=st.sampled_from((1, 1, 2)),
    seed=seeds,
    loud=loudness,
    last=st.booleans(),
)
def test_every_target_gives_the_integers_of_the_reference(target, case, count, where, block, threads, seed, loud, last):
    assume(fits(case.ops))
    run, reference = Native(case.ops, target, threads, block), Reference(case.ops)
    x, more = frames(case, seed, count, loud), frames(case, seed + 1, 15)
    wanted, after = reference.step(x, reference.init_state(), last)
    found, state = run_in_pieces(run, x, where, last)
    assert np.array_equal(found, wanted)
    if not last:
        assert np.array_equal(run.step(more, state, True)[0], reference.step(more, after, True)[0])


@pytest.mark.skipif(not targets(), reason="no native library")
@pytest.mark.parametrize("target", targets())
@law(40)
@given(case=graphs(whole=True, most=14), count=lengths, block=st.integers(1, 50), seed=seeds)
def test_every_target_runs_a_whole_input_as_the_reference_does(target, case, count, block, seed):
    assume(fits(case.ops))
    run, reference = Native(case.ops, target, block=block), Reference(case.ops)
    x = frames(case, seed, count)
    wanted = reference.step(x, reference.init_state(), True)[0]
    assert np.array_equal(run.step(x, run.init_state(), True)[0], wanted)


@law(40)
@given(case=graphs(), seed=seeds, data=st.data())
def test_names_do_not_matter(case, seed, data):
    """Every op named anew, every input spelled out: the same integers."""
    graph = make_graph(case.ops)
    names = data.draw(st.permutations([f"n{i}" for i in range(len(case.ops))]))
    told = tuple(
        replace(op, name=names[i], inputs=tuple(names[place] for place in places))
        for i, (op, places) in enumerate(zip(graph.ops, graph.inputs, strict=True))
    )
    x = frames(case, seed, 20)
    one, other = Reference(case.ops), Reference(told)
    assert np.array_equal(other.step(x, other.init_state())[0], one.step(x, one.init_state())[0])
