"""Laws of the native runtime: every target gives the integers of the reference, for every shape, block and split."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.formats import format_from_name
from fewbit.lower import pack
from fewbit.native import NativeMatrix, targets
from fewbit.program import Reference
from fewbit.program.native_run import Native
from fewbit.testing import check_program
from tests.laws.cases import PROGRAMS
from tests.laws.test_programs import network

FORMATS = ("ternary", "binary", "int2", "int3", "int4", "int5", "int6", "int7", "int8", "uint2", "uint8")
RANGES = ((-128, 127), (-1, 1), (0, 255), (-200, 50), (-32768, 32767), (0, 32767))
SIDES = st.sampled_from((1, 2, 3, 15, 16, 17, 63, 64, 65, 100, 257))

pytestmark = pytest.mark.skipif(not targets(), reason="fewbit was installed without a C++ compiler")


@pytest.mark.parametrize("target", targets())
@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(FORMATS),
    rows=SIDES,
    columns=SIDES,
    frames=st.sampled_from((0, 1, 2, 3, 4, 5, 7, 16, 17, 33, 40)),
    span=st.sampled_from(RANGES),
    wide=st.booleans(),
    threads=st.sampled_from((1, 2)),
    seed=st.integers(0, 2**32 - 1),
    ends=st.booleans(),
)
def test_products_are_exact(target, name, rows, columns, frames, span, wide, threads, seed, ends):
    rng, format = np.random.default_rng(seed), format_from_name(name)
    # Ends: nothing but the largest and smallest values, which is where sums are largest.
    levels = format.levels()[[0, -1]] if ends else format.levels()
    codes = rng.choice(levels, (rows, columns))
    x = rng.choice(span, (frames, columns)) if ends else rng.integers(span[0], span[1] + 1, (frames, columns))
    wanted = x.astype(np.int64) @ codes.T.astype(np.int64)
    got = NativeMatrix(codes, format, wide=wide).multiply(x, *span, target, threads)
    assert np.array_equal(got, wanted)


@pytest.mark.parametrize("target", targets())
@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(("ternary", "int3", "int4", "int8")),
    rows=SIDES,
    columns=SIDES,
    group=st.integers(1, 130),
    frames=st.sampled_from((1, 3, 16, 20)),
    span=st.sampled_from(RANGES[:4]),
    seed=st.integers(0, 2**32 - 1),
)
def test_groups_have_scales_and_are_rounded_once(target, name, rows, columns, group, frames, span, seed):
    rng, format = np.random.default_rng(seed), format_from_name(name)
    codes = rng.choice(format.levels(), (rows, columns))
    scale = rng.integers(1, 2**14 + 1, (rows, -(-columns // group)))
    x = rng.integers(span[0], span[1] + 1, (frames, columns))
    each = codes.astype(np.int64) * np.repeat(scale, group, axis=1)[:, :columns]
    wanted = (x @ each.T + (1 << 13)) >> 14
    got = NativeMatrix(codes, format, group, scale).multiply(x, *span, target)
    assert np.array_equal(got, wanted)


@pytest.mark.parametrize("target", targets())
@settings(max_examples=30, deadline=None)
@given(rows=SIDES, columns=SIDES, frames=st.sampled_from((1, 2, 6, 17)), seed=st.integers(0, 2**32 - 1))
def test_floats_are_the_same_on_all_targets(target, rows, columns, frames, seed):
    rng, format = np.random.default_rng(seed), format_from_name("int4")
    codes = rng.choice(format.levels(), (rows, columns))
    scale = rng.uniform(0.01, 1, rows).astype(np.float32)
    x = (rng.normal(size=(frames, columns)) * rng.choice([0, 1e-38, 1e-6, 1, 1e30], (frames, 1))).astype(np.float32)
    matrix = NativeMatrix(codes, format)
    got, plain = (matrix.apply(x, scale, name) for name in (target, "scalar"))
    assert np.array_equal(got, plain)
    # Half a step of 1/127 of the largest activation, for each weight.
    bound = np.abs(codes).sum(1) * np.abs(x).max(1, keepdims=True) / 254 * scale
    wanted = (x.astype(np.float64) @ codes.T) * scale
    assert (np.abs(got - wanted) <= 1.001 * bound + 1e-5 * np.abs(wanted) + 1e-28).all()


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("weights", ["ternary", "int4/5", "int3:row", "int8"])
def test_every_target_gives_the_integers_of_the_reference(name, weights):
    student, x = network(name, weights)
    program = pack(student)
    frames = np.concatenate([*x.numpy(), 20 * x[0].numpy()])  # the last ones far beyond what was calibrated
    reference = Reference(program.ops)
    wanted, _ = reference.step(frames, reference.init_state())

    @settings(max_examples=6, deadline=None)
    @given(target=st.sampled_from(targets()), block=st.integers(1, 80), cuts=st.lists(st.integers(0, 300), max_size=6))
    def law(target, block, cuts):
        run = Native(program.ops, target, block=block)
        state, parts = run.init_state(), []
        for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(frames)], strict=True):
            before = state.copy()
            y, after = run.step(frames[a:b], state)
            assert np.array_equal(before, state), "the state that the caller holds was changed"
            parts.append(y)
            state = after
        assert np.array_equal(np.concatenate(parts), wanted)
        check_program(program, frames[:60], [c % 60 for c in cuts])

    law()


def test_sessions_in_several_threads_do_not_disturb_each_other():
    program = pack(network("LSTM")[0])
    run = Native(program.ops, threads=2)
    inputs = [np.random.default_rng(seed).normal(size=(400, program.inputs)).astype(np.float32) for seed in range(4)]
    alone = [run.step(x, run.init_state())[0] for x in inputs]
    found = [[] for _ in inputs]

    def listen(place):
        state = run.init_state()
        for start in range(0, 400, 5):
            y, state = run.step(inputs[place][start : start + 5], state)
            found[place].append(y)

    workers = [threading.Thread(target=listen, args=(place,)) for place in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.array_equal(np.concatenate(parts), wanted) for parts, wanted in zip(found, alone, strict=True))
