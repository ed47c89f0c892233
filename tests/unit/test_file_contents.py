"""The packed file: a description or a tensor that does not fit the others is refused, each with its own sentence."""

import numpy as np
import pytest

from fewbit.cli.main import main
from fewbit.errors import FileFormatError
from fewbit.program import load


def op(meta, name):
    return next(record for record in meta["ops"] if record["name"] == name)


def put(*path_and_value):
    """A change of the description: ``put("conv", "kernel", 0)`` in an op, ``put("version", 2)`` outside."""
    *path, value = path_and_value

    def change(meta, tensors):
        place = op(meta, path[0]) if len(path) > 1 else meta
        for key in path[1:-1]:
            place = place[key]
        assert path[-1] in place, "the change must change something"
        place[path[-1]] = value

    return change


def drop(*path):
    def change(meta, tensors):
        place = op(meta, path[0]) if len(path) > 1 else meta
        del place[path[-1]]

    return change


def tensor(name, make):
    def change(meta, tensors):
        tensors[name] = make(tensors.get(name))

    return change


def without(name):
    return lambda meta, tensors: tensors.pop(name)


def first_is(value):
    def make(array):
        array.flat[0] = value
        return array

    return make


def swap(meta, tensors):
    meta["ops"][:2] = meta["ops"][1::-1]


NEWER = "the file is of version 2, this fewbit reads up to 1; update fewbit or pack it again"
DESCRIPTIONS = [
    (put("version", 2), NEWER),
    (put("version", 0), "the version 0 is no positive integer"),
    (put("version", True), "the version True is no positive integer"),
    (put("version", "1"), "the version '1' is no positive integer"),
    (drop("version"), "the version None is no positive integer"),
    (put("ops", []), "the description lists no ops"),
    (put("features", []), "'features' is not an object"),
    (put("alphabet", "ab"), "'alphabet' is not an object"),
    (put("recipe", {"loss": float("nan")}), "the description holds NaN, which is no number"),
    (swap, "the first op, and no other, must be 'quantize'"),
    (put("conv", "kind", "warp"), "op 1: unknown op 'warp'; this fewbit knows quantize, requantize, dense"),
    (put("conv", "kind", ["conv"]), r"op 1: unknown op \['conv'\]"),
    (put("conv", "name", 7), r"op 1 \(conv\): 'name' is 7, wanted text"),
    (put("conv", "name", "two\nlines"), "'name' is .*, wanted text"),
    (put("conv", "tensors", 1), "op 1 .conv.: the description of the op is not as it should be"),
    (put("conv", "tensors", "77"), "the tensor '77.weight' is missing"),
    (put("conv", "weight", None), "'weight' is None, wanted an object"),
    (put("conv", "weight", "rows", 10**6), "'weight' claims 1000000 x 18 int4 codes, which take .*, but has .5, 9."),
    (put("conv", "weight", "rows", 2**40), "'rows' is 1099511627776, wanted an integer in 1..16777216"),
    (put("conv", "weight", "columns", 0), "'columns' is 0, wanted an integer in 1..16777216"),
    (put("conv", "weight", "columns", 16), "'weight' claims 5 x 16 int4 codes"),
    (put("conv", "weight", "format", "int99"), "int99: wanted 2 to 8 bits"),
    (put("conv", "weight", "format", None), "'weight' has format None and layout 'bits', wanted two names"),
    (put("conv", "weight", "layout", "trits"), "layout trits holds ternary codes only, not int4"),
    (put("conv", "weight", "per", "token"), "'per' is 'token', wanted an integer"),
    (put("conv", "kernel", 0), "'kernel' must be at least 1"),
    (put("conv", "kernel", 4), "the columns of 'weight' are no multiple of 'kernel'"),
    (put("conv", "kernel", 3.0), "'kernel' is 3.0, wanted an integer"),
    (put("conv", "stride", 4), "'stride' must lie in 1..kernel"),
    (put("conv", "rescale", "shift", 63), "'shift' is 63, wanted an integer in 0..62"),
    (put("conv", "rescale", "shift", -1), "'shift' is -1, wanted an integer in 0..62"),
    (put("conv", "rescale", "low", 128), "'rescale' clamps to 128..127, an empty range"),
    (put("conv", "rescale", "high", 2**31), "'high' is 2147483648, wanted an integer"),
    (put("input", "high", 40_000), "the codes of 'quantize' leave 16 bits"),
    (put("requantize", "width", 7), "the ops do not fit together: conv gives 5 numbers a frame, requantize wants 7"),
    (put("requantize", "width", 0), "'width' must be at least 1"),
    (put("grouped", "weight", "per", 3), "'weight.group_scale' is not .6, 2. integers in 1..16384"),
    (put("sru", "hidden", 5), r"op 4 \(sru\): 'weight' does not fit 'hidden'"),
    (put("sru", "shift", 63), "'shift', 'low' or 'high' is out of range"),
    (put("qrnn", "hidden", 4), r"op 6 \(qrnn\): 'weight' does not fit 'hidden'"),
    (put("lstm", "hidden", 4), "'weight' or 'weight_hidden' does not fit 'hidden'"),
    (put("gru", "hidden", -4), "'weight' or 'weight_hidden' does not fit 'hidden'"),
]
TENSORS = [
    (without("01.weight"), "the tensor '01.weight' is missing"),
    (without("01.rescale.multiplier"), "the tensor '01.rescale.multiplier' is missing"),
    (tensor("99.more", lambda _: np.zeros(1, np.uint8)), r"tensors that no op uses: \['99.more'\]"),
    (tensor("01.bias", lambda a: a.astype(np.int64)), "the tensor '01.bias' holds int64, wanted int32"),
    (tensor("01.bias", lambda a: a[:-1]), "'bias' has 4 entries for 5 rows"),
    (tensor("01.bias", lambda a: a[None]), "'bias' has shape .1, 5., wanted a vector"),
    (tensor("01.bias", lambda a: a[:0]), "'bias' has shape .0,., wanted a vector"),
    (tensor("01.rescale.multiplier", lambda a: a[:2]), "'rescale' has a wrong number of multipliers"),
    (tensor("07.rescale_hidden.multiplier", lambda a: a.repeat(2)), "'rescale_hidden' has a wrong number"),
    (tensor("06.output.multiplier", lambda a: a.repeat(2)), "'output' has a wrong number"),
    (tensor("08.bias_hidden", lambda a: a[1:]), "'bias_hidden' does not fit 'hidden'"),
    (tensor("00.gain", first_is(np.nan)), "'gain' holds NaN or infinity; the network was damaged before or after"),
    (tensor("00.offset", first_is(np.inf)), "'offset' holds NaN or infinity"),
    (tensor("00.offset", lambda a: a[1:]), "'gain' and 'offset' differ in length"),
    (tensor("01.weight", first_is(255)), r"op 1 \(conv\): index 15 is outside the 15 codes of int4"),
    (tensor("04.weight", first_is(255)), r"op 4 \(sru\): byte 255 holds no five trits"),
    (tensor("03.weight.group_scale", first_is(0)), "'weight.group_scale' is not .6, 3. integers in 1..16384"),
    (tensor("03.weight.group_scale", first_is(16_385)), "'weight.group_scale' is not .6, 3. integers in 1..16384"),
]


@pytest.mark.parametrize(("change", "sentence"), DESCRIPTIONS + TENSORS)
def test_a_part_that_does_not_fit_is_refused(change, sentence, every_op, repack, tmp_path, capsys):
    path = tmp_path / "net.fewbit"
    path.write_bytes(repack(every_op.to_bytes(), change))
    with pytest.raises(FileFormatError, match=sentence) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert main(["show", str(path)]) == 1
    assert capsys.readouterr().err == f"error: {caught.value}\n"


def test_a_file_that_was_not_changed_is_taken(every_op, repack, tmp_path):
    path = tmp_path / "net.fewbit"
    path.write_bytes(repack(every_op.to_bytes(), lambda meta, tensors: None))
    assert load(path).to_bytes() == every_op.to_bytes()


def test_a_huge_value_does_not_make_a_huge_message(every_op, repack, tmp_path):
    path = tmp_path / "net.fewbit"
    path.write_bytes(repack(every_op.to_bytes(), put("conv", "kernel", "9" * 10_000)))
    with pytest.raises(FileFormatError, match=r"'kernel' is '9+\.\.\.9+', wanted an integer") as caught:
        load(path)
    assert len(str(caught.value)) < 200 + len(str(path))
