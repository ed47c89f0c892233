"""Packed files of matrices without their columns of zeros: what comes back, what is refused, what is counted."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fewbit.cli.main import main
from fewbit.errors import FileFormatError
from fewbit.formats import Int, PerRow, Ternary, default_layout, pack, pack_columns
from fewbit.program import Program, Reference, cost, load, ops, show
from fewbit.program.numerics import rescale_from
from tests.program.test_kernel_file import changed, drop, put

MAPS, ROWS, TAPS, OUT = 6, 5, 9, 3
COLUMNS = MAPS * TAPS
GRID = ops.Grid(4, 5, kernel_height=3, kernel_width=3, top=1, bottom=1, left=1, right=1)
KEPT = 20
INT4 = Int(4)


def codes(rows, columns, kept, format):
    rng = np.random.default_rng(0)
    drawn = rng.choice(format.levels()[format.levels() != 0], (rows, columns))
    return drawn * (rng.permutation(columns) < kept)


def matrix(rows, columns, kept, format, is_kept):
    drawn, layout = codes(rows, columns, kept, format), default_layout(format)
    if is_kept:
        return ops.Matrix(rows, columns, format, "columns", PerRow(), pack_columns(drawn, format))
    return ops.Matrix(rows, columns, format, layout, PerRow(), pack(drawn, format, layout))


def program(format=INT4, is_kept=True):
    """A convolution and a dense layer that ignores half of what it reads."""
    size, rescale = MAPS * GRID.places, rescale_from(0.02, -127, 127)
    source = ops.Quantize("x", np.full(size, 30, np.float32), np.zeros(size, np.float32), -127, 127)
    weight = matrix(ROWS, COLUMNS, KEPT, format, is_kept)
    conv = ops.Conv("conv", 1, 1, weight, np.arange(ROWS), rescale, grid=GRID)
    read = ROWS * GRID.places
    dense = ops.Dense("y", matrix(OUT, read, read // 2, format, is_kept), np.arange(OUT), rescale)
    return Program((source, conv, dense))


@pytest.mark.parametrize("format", [Int(4), Int(3), Ternary()], ids=str)
def test_a_program_comes_back_from_its_file(format, tmp_path):
    made, path = program(format), tmp_path / "columns.fewbit"
    made.save(path)
    found = load(path)
    assert path.read_bytes() == found.to_bytes()
    for op, original in zip(found.ops[1:], made.ops[1:], strict=True):
        assert (op.weight.layout, op.weight.maps, op.weight.kernels) == ("columns", 0, 0)
        assert np.array_equal(op.weight.codes(), original.weight.codes())
    assert (found.ops[1].weight.kept_columns, found.ops[2].weight.kept_columns) == (KEPT, 50)


def test_the_integers_are_those_of_all_codes(tmp_path):
    made, path = program(), tmp_path / "columns.fewbit"
    made.save(path)
    x = np.random.default_rng(1).normal(size=(30, MAPS * GRID.places)).astype(np.float32)
    wanted, found = (
        reference.step(x, reference.init_state(), True)[0]
        for reference in (Reference(program(is_kept=False).ops), Reference(load(path).ops))
    )
    assert np.array_equal(found, wanted)
    assert len(np.unique(wanted)) > 20


def test_pattern_bits_and_kept_columns_are_counted(tmp_path):
    path = tmp_path / "columns.fewbit"
    program().save(path)
    _, conv, dense = show(path).ops
    _, whole, _ = cost(program(is_kept=False)).ops
    stored = 7 + ROWS * KEPT * 4 // 8  # 54 bits of pattern
    assert (conv.columns, conv.kept_columns, conv.pattern_bytes) == (COLUMNS, KEPT, 7)
    assert (dense.columns, dense.kept_columns, dense.pattern_bytes) == (100, 50, 13)
    assert (whole.columns, whole.kept_columns, whole.pattern_bytes) == (0, 0, 0)
    assert conv.bits == round(8 * stored / (ROWS * COLUMNS), 2)
    assert whole.bytes - conv.bytes == ROWS * COLUMNS * 4 // 8 - stored
    assert conv.weights == whole.weights
    assert (whole.macs, conv.macs) == (GRID.places * ROWS * COLUMNS, GRID.places * ROWS * KEPT)


def test_show_says_what_is_stored(tmp_path, capsys):
    path = tmp_path / "columns.fewbit"
    program().save(path)
    assert main(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "of 2 ops, 70 of 154 columns are stored and counted,\nwith 20 bytes that say which\n" in shown


def test_the_file_is_of_version_2():
    plain = program(is_kept=False)
    dense = replace(plain.ops[2], weight=program().ops[2].weight)
    assert (plain.ops[2].is_new(), dense.is_new()) == (False, True)
    assert b'\\"version\\":2' in program().to_bytes()


def bytes_of(*data):
    return lambda weight, tensors: tensors.update({"01.weight": np.array(data, np.uint8)})


PATTERN = (1, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (put("layout", "bits"), "'weight' claims 5 x 54 int4 codes, which take (5, 27) bytes, but has (57,)"),
        (put("layout", "kernels"), "'maps' is None, wanted an integer"),
        (put("columns", 47), "16 kept columns of 5 int4 codes take 40 bytes, not 51"),
        (put("columns", 0), "'columns' is 0, wanted an integer in 1.."),
        (put("rows", 6), "20 kept columns of 6 int4 codes take 60 bytes, not 50"),
        (put("rows", 2**25), "'rows' is 33554432, wanted an integer"),
        (drop("rows"), "'rows' is None, wanted an integer"),
        (put("format", "binary"), "layout columns does not hold"),
        (put("format", "sparse8,2"), "layout columns does not hold"),
        (put("per", 9), "a scale per group, which the layout columns does not have"),
        (bytes_of(), "the pattern of 54 columns takes 7 bytes, not 0"),
        (bytes_of(1, 0, 0, 0, 0, 0, 128), "unused bits at the end of a pattern of columns must be 0"),
        (bytes_of(*PATTERN), "1 kept columns of 5 int4 codes take 3 bytes, not 0"),
        (bytes_of(*PATTERN, 0x77, 0x77, 7), "a column of zeros is stored as a kept one"),
        (bytes_of(*PATTERN, 0xFE, 0xFF, 0xFF), "unused places at the end of a row must be 0"),
    ],
)
def test_what_does_not_fit_is_refused(change, fault, tmp_path):
    path = tmp_path / "broken.fewbit"
    path.write_bytes(changed(program().to_bytes(), change))
    with pytest.raises(FileFormatError) as caught:
        load(path)
    assert fault in str(caught.value)


@pytest.mark.parametrize("format", [Int(4), Ternary()], ids=str)
@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10_000), value=st.integers(0, 255))
def test_any_byte_of_the_weights_is_refused_or_is_what_a_writer_writes(format, place, value, tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "columns.fewbit"

    def change(weight, tensors):
        data = tensors["01.weight"]
        data[place % len(data)] = value

    path.write_bytes(changed(program(format).to_bytes(), change))
    try:
        found = load(path)
    except FileFormatError:
        return
    weight = found.ops[1].weight
    assert pack_columns(weight.codes(), format).tolist() == weight.data.tolist()


@pytest.mark.parametrize("sizes", [{"columns": 2**24}, {"rows": 2**20, "columns": 2**20}])
def test_columns_that_are_left_out_ask_for_no_memory(sizes, tmp_path):
    path = tmp_path / "large.fewbit"
    path.write_bytes(changed(program().to_bytes(), lambda weight, tensors: weight.update(sizes)))
    tracemalloc.start()
    with pytest.raises(FileFormatError, match="layout columns does not hold"):
        load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
