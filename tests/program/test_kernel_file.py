"""Packed files of convolutions without their kernels of zeros: what comes back, what is refused, what is counted."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as tensors_of
from safetensors.numpy import save

from fewbit.cli.main import main
from fewbit.errors import FileFormatError, LoweringError
from fewbit.formats import Int, PerRow, Ternary, default_layout, pack, pack_kernels
from fewbit.program import Program, Reference, cost, load, ops, show
from fewbit.program.numerics import rescale_from

MAPS, ROWS, TAPS = 6, 5, 9
GRID = ops.Grid(4, 5, kernel_height=3, kernel_width=3, top=1, bottom=1, left=1, right=1)
KEPT = 11
INT4 = Int(4)


def codes(format=INT4):
    rng = np.random.default_rng(0)
    kernels = rng.choice(format.levels()[format.levels() != 0], (ROWS, TAPS, MAPS))
    kept = rng.permutation(np.arange(ROWS * MAPS)).reshape(ROWS, 1, MAPS) < KEPT
    return (kernels * kept).reshape(ROWS, TAPS * MAPS)


def program(format=INT4, is_kept=True, **changes):
    drawn = codes(format)
    layout = default_layout(format)
    weight = ops.Matrix(*drawn.shape, format, layout, PerRow(), pack(drawn, format, layout))
    if is_kept:
        weight = replace(weight, layout="kernels", data=pack_kernels(drawn, MAPS, format), maps=MAPS)
    size = MAPS * GRID.places
    first = ops.Quantize("x", np.full(size, 30, np.float32), np.zeros(size, np.float32), -127, 127)
    rescale = rescale_from(0.02, -127, 127)
    op = ops.Conv("y", 1, 1, replace(weight, **changes), np.arange(ROWS), rescale, grid=GRID)
    return Program((first, op))


def changed(data, change):
    """A packed file with its description and tensors changed."""
    length = int.from_bytes(data[:8], "little")
    description = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["fewbit"])
    tensors = {name: array.copy() for name, array in tensors_of(data).items()}
    change(description["ops"][1]["weight"], tensors)
    return save(tensors, {"fewbit": json.dumps(description, sort_keys=True, separators=(",", ":"))})


@pytest.mark.parametrize("format", [Int(4), Int(3), Ternary()], ids=str)
def test_a_program_comes_back_from_its_file(format, tmp_path):
    made, path = program(format), tmp_path / "kernels.fewbit"
    made.save(path)
    found = load(path)
    assert path.read_bytes() == found.to_bytes()
    weight = found.ops[1].weight
    assert (weight.layout, weight.maps, weight.kept_kernels, weight.kernels) == ("kernels", MAPS, KEPT, ROWS * MAPS)
    assert np.array_equal(weight.codes(), codes(format))


def test_the_integers_are_those_of_all_codes(tmp_path):
    made, path = program(), tmp_path / "kernels.fewbit"
    made.save(path)
    x = np.random.default_rng(1).normal(size=(3, MAPS * GRID.places)).astype(np.float32)
    wanted, found = (
        reference.step(x, reference.init_state(), True)[0]
        for reference in (Reference(program(is_kept=False).ops), Reference(load(path).ops))
    )
    assert np.array_equal(found, wanted)
    assert len(np.unique(wanted)) > 20


def test_the_file_is_of_version_2_and_says_what_it_holds():
    data = program().to_bytes()
    description = json.loads(json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["fewbit"])
    assert description["version"] == 2
    assert description["ops"][1]["weight"] == {
        "rows": ROWS, "columns": TAPS * MAPS, "format": "int4", "layout": "kernels", "maps": MAPS, "per": "row",
    }  # fmt: skip


def test_pattern_bits_and_kept_kernels_are_counted(tmp_path):
    path = tmp_path / "kernels.fewbit"
    program().save(path)
    whole, kept = cost(program(is_kept=False)).ops[1], show(path).ops[1]
    pattern = int(np.ceil(ROWS * MAPS / 8))
    stored = pattern + int(np.ceil(KEPT * TAPS * 4 / 8))
    assert kept.bits == round(8 * stored / (ROWS * TAPS * MAPS), 2)
    assert whole.bytes - kept.bytes == ROWS * TAPS * MAPS * 4 // 8 - stored
    assert (kept.weights, kept.kernels, kept.kept_kernels) == (whole.weights, ROWS * MAPS, KEPT)
    assert (whole.kernels, whole.kept_kernels) == (0, 0)
    assert (whole.macs, kept.macs) == (GRID.places * ROWS * TAPS * MAPS, GRID.places * KEPT * TAPS)


def test_show_says_what_is_stored(tmp_path, capsys):
    path = tmp_path / "kernels.fewbit"
    program().save(path)
    assert main(["show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "of 1 convolution, 11 of 30 kernels are stored and counted,\nwith 4 bytes that say which\n" in shown
    program(is_kept=False).save(path)
    assert main(["show", str(path)]) == 0
    assert "kernels are stored" not in capsys.readouterr().out


def test_the_maps_of_another_shape_are_refused():
    with pytest.raises(LoweringError, match="'weight' stores kernels of 3 maps, the op reads 6"):
        program(maps=3, data=pack_kernels(codes(), 3, Int(4)))


def put(key, value):
    return lambda weight, tensors: weight.update({key: value})


def drop(key):
    return lambda weight, tensors: weight.pop(key)


def bytes_of(*data):
    return lambda weight, tensors: tensors.update({"01.weight": np.array(data, np.uint8)})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (put("layout", "bits"), "'weight' claims 5 x 54 int4 codes, which take (5, 27) bytes, but has (54,)"),
        (put("maps", 7), "layout kernels does not hold 5 x 54 int4 codes of 7 maps"),
        (put("maps", 3), "kept kernels of 18 int4 codes take"),
        (put("maps", 0), "'maps' is 0, wanted an integer in 1.."),
        (put("maps", 2**25), "'maps' is 33554432, wanted an integer"),
        (drop("maps"), "'maps' is None, wanted an integer"),
        (put("format", "binary"), "layout kernels does not hold"),
        (put("format", "sparse8,2"), "layout kernels does not hold"),
        (put("per", 9), "a scale per group, which the layout kernels does not have"),
        (bytes_of(), "the pattern of 5 x 6 kernels takes 4 bytes, not 0"),
        (bytes_of(1, 0, 0, 128), "unused bits at the end of a pattern of kernels must be 0"),
        (bytes_of(1, 0, 0, 0), "1 kept kernels of 9 int4 codes take 5 bytes, not 0"),
        (bytes_of(1, 0, 0, 0, *[0x77] * 4, 7), "a kernel of zeros is stored as a kept one"),
        (bytes_of(1, 0, 0, 0, *[0xFF] * 5), "unused places at the end of a row must be 0"),
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
    path = tmp_path_factory.mktemp("fuzz") / "kernels.fewbit"

    def change(weight, tensors):
        data = tensors["01.weight"]
        data[place % len(data)] = value

    data = changed(program(format).to_bytes(), change)
    path.write_bytes(data)
    try:
        found = load(path)
    except FileFormatError:
        return
    weight = found.ops[1].weight
    assert pack_kernels(weight.codes(), MAPS, format).tolist() == weight.data.tolist()


@pytest.mark.parametrize("sizes", [{"columns": 2**24, "maps": 1}, {"rows": 2**20, "columns": 2**20, "maps": 2}])
def test_kernels_that_are_left_out_ask_for_no_memory(sizes, tmp_path):
    path = tmp_path / "large.fewbit"
    path.write_bytes(changed(program().to_bytes(), lambda weight, tensors: weight.update(sizes)))
    tracemalloc.start()
    with pytest.raises(FileFormatError, match="layout kernels does not hold"):
        load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
