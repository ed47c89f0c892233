"""The native library: what it refuses, what asks for it, and what happens without it."""

import json
import multiprocessing
import shutil
import warnings

import numpy as np
import pytest

import fewbit as fb
from fewbit.cli.main import main
from fewbit.errors import ArgumentError, DecodeError, TargetError
from fewbit.formats import Int, Ternary
from fewbit.native import NativeMatrix, library, targets
from fewbit.program import Reference
from fewbit.program.native_run import Native, executor, fits
from fewbit.speed import BlockChoice, choose_block, random_network, read_rate, time_network, time_product
from fewbit.speed.ceilings import PARTS


@pytest.mark.skipif(not (shutil.which("c++") and shutil.which("cmake")), reason="there is no C++ compiler or no cmake")
def test_it_was_built_where_there_is_a_compiler():
    """A build that fails leaves an installation without the library, which only a test makes known."""
    assert library.is_available(), library._opened()


@pytest.fixture
def digits():
    return fb.load(fb.pretrained("digits"))


@pytest.fixture
def no_library(monkeypatch):
    monkeypatch.setattr(library, "_opened", lambda: "the native library is not at nowhere")
    library.tell_if_missing.cache_clear()
    yield
    library.tell_if_missing.cache_clear()


def frames(program, count=50):
    return np.random.default_rng(0).normal(size=(count, program.inputs)).astype(np.float32)


def test_the_library_is_used_by_itself(digits):
    assert isinstance(digits.executor, Native)
    assert digits.executor.target == targets()[0]


def test_the_environment_asks_for_a_target(digits, monkeypatch):
    monkeypatch.setenv("FEWBIT_TARGET", "scalar")
    assert executor(digits.ops).target == "scalar"
    monkeypatch.setenv("FEWBIT_TARGET", "reference")
    assert isinstance(executor(digits.ops), Reference)
    monkeypatch.setenv("FEWBIT_TARGET", "mmx")
    with pytest.raises(TargetError, match=r"target 'mmx' is not available here; available: .*scalar"):
        executor(digits.ops)


def test_without_the_library_the_reference_runs_and_says_so_once(digits, no_library):
    with pytest.warns(RuntimeWarning, match=r"not at nowhere; install a C\+\+ compiler"):
        slow = executor(digits.ops)
    assert isinstance(slow, Reference)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        executor(digits.ops)
    assert targets() == []
    with pytest.raises(TargetError, match="pip install"):
        NativeMatrix(np.zeros((1, 1), np.int16), Ternary())
    with pytest.raises(TargetError, match="nothing to time"):
        time_product()


def test_a_library_of_another_version_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(library, "ABI", 99)
    assert "has interface 7, wanted 99" in library._opened.__wrapped__()
    monkeypatch.setenv("FEWBIT_LIBRARY", str(tmp_path / "no.so"))
    assert "no.so" in library._opened.__wrapped__()
    (tmp_path / "no.so").write_bytes(b"no library")
    assert "cannot be used" in library._opened.__wrapped__()


def test_with_ctypes_alone_the_integers_are_the_same(digits, monkeypatch):
    x = frames(digits)
    wanted, state = digits.step(x, digits.init_state())
    monkeypatch.setattr("fewbit.program.native_run.fast_binding", lambda: None)
    monkeypatch.setattr("fewbit.native.matrix.fast_binding", lambda: None)
    plain = Native(digits.ops)
    got, after = plain.step(x, plain.init_state())
    assert np.array_equal(got, wanted)
    assert np.array_equal(after, state)
    matrix, scale = NativeMatrix(np.ones((3, 5), np.int16), Ternary()), np.ones(3, np.float32)
    assert np.allclose(matrix.apply(np.ones((2, 5), np.float32), scale), 5)
    with pytest.raises(TargetError, match="NaN"):
        matrix.apply(np.full((1, 5), np.nan, np.float32), scale)


def test_a_state_of_another_network_is_refused(digits):
    other = random_network("sru", 8, 1)
    with pytest.raises(DecodeError, match=r"the state has \d+ numbers, wanted 12"):
        other.step(np.zeros((1, 8), np.float32), digits.init_state())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused_and_nothing_is_lost(digits, bad):
    x = frames(digits)
    _, state = digits.step(x, digits.init_state())
    kept = state.copy()
    broken = x.copy()
    broken[-1, 3] = bad
    with pytest.raises(DecodeError, match="NaN or infinite"):
        digits.step(broken, state)
    assert np.array_equal(state, kept)
    digits.step(x, state)


def test_matrices_refuse_what_they_cannot_hold():
    with pytest.raises(TargetError, match="a code lies outside of its range"):
        NativeMatrix(np.full((2, 2), 2, np.int16), Ternary())
    matrix = NativeMatrix(np.ones((2, 3), np.int16), Int(4))
    with pytest.raises(ArgumentError, match=r"takes \(frames, 3\), not \(1, 4\)"):
        matrix.multiply(np.zeros((1, 4), np.int64), -1, 1)
    with pytest.raises(ArgumentError, match=r"activations 0\.\.9 are not in -1\.\.1"):
        matrix.multiply(np.array([[0, 9, 1]]), -1, 1)
    with pytest.raises(TargetError, match="at most 16 bits"):
        matrix.multiply(np.zeros((1, 3), np.int64), -(2**20), 0)
    with pytest.raises(ArgumentError, match=r"integers of 32 bits"):
        matrix.multiply(np.full((1, 3), 2**40), 0, 1)
    with pytest.raises(ArgumentError, match=r"scales have shape \(3,\), wanted \(2,\)"):
        matrix.apply(np.zeros((1, 3), np.float32), np.ones(3, np.float32))
    with pytest.raises(TargetError, match="NaN"):
        matrix.apply(np.full((1, 3), np.inf, np.float32), np.ones(2, np.float32))


def test_sums_beyond_32_bits_run_on_the_reference(digits):
    from dataclasses import replace

    last = digits.ops[-1]
    huge = replace(last, bias=np.full(len(last.bias), 2**30 + 1))
    chain = (*digits.ops[:-1], huge)
    assert not fits(chain)
    assert isinstance(executor(chain), Reference)


def _text(queue):
    program = fb.load(fb.pretrained("digits"))
    run = Native(program.ops, threads=2)
    queue.put(run.step(frames(program), run.init_state())[0].sum())


def test_it_works_after_a_fork(digits):
    run = Native(random_network("lstm", 1024, 1).ops, threads=2)
    run.step(np.zeros((20, 1024), np.float32), run.init_state())  # starts the threads
    wanted = digits.step(frames(digits), digits.init_state())[0].sum()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads, which this is about
        child = context.Process(target=_text, args=(queue,))
        child.start()
    assert queue.get(timeout=60) == wanted
    child.join()


def test_speed_is_told_with_its_ceilings():
    result = time_product("int3", 96, 130, frames=3, seconds=0.02)
    assert result["p10_us"] <= result["median_us"] <= result["p90_us"]
    assert result["relative_error"] < 0.02
    assert result["share"] == pytest.approx(max(result[f"{part}_us"] for part in PARTS) / result["median_us"])
    assert result["bound"] in PARTS
    for cell in ("sru", "qrnn", "lstm", "gru"):
        assert time_network(cell, 32, 2, steps=3, seconds=0.02)["step_us"] > 0
    assert read_rate(1 << 16) > 1e6
    with pytest.raises(TargetError, match="no cell is called 'rnn'; there are sru"):
        time_network("rnn")


def test_the_shortest_block_that_is_good_enough_is_chosen(monkeypatch, digits):
    times = {1: 8.0, 2: 5.0, 4: 3.1, 8: 3.0, 16: 3.0}
    monkeypatch.setattr("fewbit.speed.blocks.time_program", lambda program, n, *rest: {"step_us": times[n]})
    assert choose_block(digits, 16) == BlockChoice(4, times)
    assert choose_block(digits, 2).frames == 2
    assert choose_block(digits, 16, period_us=11).frames == 2
    assert choose_block(digits, 16, period_us=10_000).frames == 1


def test_random_networks_are_alive():
    for cell in ("sru", "qrnn", "lstm", "gru"):
        program = random_network(cell, 64, 2)
        y, _ = program.step(np.random.default_rng(1).normal(size=(30, 64)).astype(np.float32), program.init_state())
        assert np.std(y) > 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["matmul", "--format", "ternary", "--shape", "64x96", "--rows", "2", "--threads", "1"],
        ["rnn", "--cell", "gru", "--format", "int4", "--hidden", "32", "--layers", "2", "--steps", "4"],
        ["file", str(fb.pretrained("digits")), "--most", "2"],
    ],
)
def test_the_command_prints_for_people_and_for_machines(arguments, capsys):
    assert main(["bench", *arguments, "--seconds", "0.02", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {"median_us", "p10_us", "p90_us", "target"} <= set(printed)
    assert main(["bench", *arguments, "--seconds", "0.02"]) == 0
    assert "µs" in capsys.readouterr().out


def test_the_command_says_what_is_wrong(capsys):
    assert main(["bench", "matmul", "--shape", "12"]) == 2
    assert main(["bench", "matmul", "--target", "mmx"]) == 1
    assert "mmx" in capsys.readouterr().err
