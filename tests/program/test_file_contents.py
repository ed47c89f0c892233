"""The packed file: a description or a tensor that does not fit the others is refused, each with its own sentence."""

from pathlib import Path

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


def add(*path_and_value):
    """A change that puts in what was not there."""
    *path, value = path_and_value

    def change(meta, tensors):
        place = op(meta, path[0]) if len(path) > 1 else meta
        assert path[-1] not in place
        place[path[-1]] = value

    return change


def both(*changes):
    def change(meta, tensors):
        for each in changes:
            each(meta, tensors)

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


NEWER = "the file is of version 3, this fewbit reads up to 2; update fewbit or pack it again"
DESCRIPTIONS = [
    (put("version", 3), NEWER),
    (put("version", 0), "the version 0 is no positive integer"),
    (put("version", True), "the version True is no positive integer"),
    (put("version", "1"), "the version '1' is no positive integer"),
    (drop("version"), "the version None is no positive integer"),
    (put("ops", []), "the description lists no ops"),
    (add("conv", "inputs", ["input"]), r"op 1 \(conv\) is of version 2, the file says 1; the file is damaged"),
    (add("conv", "dilation", 2), r"op 1 \(conv\) is of version 2, the file says 1"),
    (add("grouped", "places", 1.0), r"op 3 \(dense\): 'places' is 1.0, wanted an integer"),
    (add("signature", {"inputs": [], "outputs": []}), "a file of version 1 has a signature; the file is damaged"),
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
    (
        put("requantize", "width", 7),
        r"op 2 \(requantize\): conv gives 5 numbers a frame, requantize wants 7; the file is damaged",
    ),
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


GOLDEN = Path(__file__).parents[1] / "golden"
FRAME = {
    "name": "x", "shape": [0, 10], "time": 0, "order": [1], "first": 0, "symbols": False, "fraction_bits": 10
}  # fmt: skip


def port(**fields):
    """A change of the first input of the signature."""
    return lambda meta, tensors: meta["signature"]["inputs"][0].update(fields)


GRAPH = [
    (put("features", 1), "'features' is not an object"),
    (put("image", "inputs", "mapped"), "'inputs' is 'mapped', wanted a list of names"),
    (put("image", "inputs", [3]), r"'inputs' is \[3\], wanted a list of names"),
    (put("image", "inputs", ["x"] * 4097), "'inputs' is .*, wanted a list of names"),
    (put("image", "inputs", ["image"]), "image reads 'image', and no op before it has that name"),
    (put("image", "inputs", ["scores"]), "image reads 'scores', and no op before it has that name"),
    (put("image", "inputs", ["nobody"]), "image reads 'nobody', and no op before it has that name"),
    (add("features", "inputs", ["symbols"]), "features is a source and reads 'symbols', wanted features"),
    (put("pooled", "name", "image"), "several ops have the name 'image', which another one reads"),
    (drop("features", "repeat"), r"op \d+ \(\w+\): features gives 5 numbers a frame"),
    (put("features", "repeat", 0), "'repeat' or 'first' is out of range"),
    (put("features", "repeat", 2**31 - 1), r"op 0 \(quantize\): it gives 10737418235 numbers a frame, wanted 1 to"),
    (put("symbols", "first", -1), "'places' or 'first' is out of range"),
    (put("symbols", "places", 2**24 + 1), "'places' or 'first' is out of range"),
    (put("image", "grid", [2, 5]), r"'grid' is \[2, 5\], wanted 12 sizes"),
    (put("image", "grid", [2, 5, 2, 2, 1, 1, 1, 1, 1, 0, 0, -1]), "'grid' is .*, wanted 12 sizes"),
    (put("image", "grid", [2, 5, 2, 2, 1, 1, 1, 1, 1, 0, 0, True]), "'grid' is .*, wanted 12 sizes"),
    (put("image", "grid", [2, 5, 2, 2, 0, 1, 1, 1, 1, 0, 0, 1]), "a size of 'grid' is no count"),
    (put("image", "grid", [2, 5, 2, 2, 1, 1, 1, 1, 2, 0, 0, 1]), "the padding of 'grid' is larger than its kernel"),
    (add("image", "groups", 3), "the rows of 'weight' are no multiple of 'groups'"),
    (put("window", "dilation", 2**24), "the kernel of an op reaches over"),
    (put("window", "dilation", 2**22), r"op \d+ \(conv\): the state has \d+ numbers, more than 67108864"),
    (put("window", "left", 5), r"'left' must lie in 0\.\.reach - 1"),
    (put("mapped", "first", -32768), "the points cover"),
    (put("mapped", "fraction_bits", 17), "'fraction_bits' or 'spare_bits' is wrong"),
    (put("attend", "window_frames", 2**20 + 1), r"op \d+ \(attend\): a count of keys is out of range"),
    (put("attend", "window_frames", 0), None),
    (put("attend", "groups", 3), "'heads' is no multiple of 'groups'"),
    (put("attend", "multiplier", 65537), "'multiplier' or 'shift' makes no exponents"),
    (put("pooled", "kernel", 0), "the kernel of an op reaches over"),
    (put("pooled", "kernel", 2**15 + 1), r"op \d+ \(pool\): a window has more than 2\*\*15 numbers"),
    (put("norm", "eps_shift", 31), "'eps' is out of range"),
    (put("softmax", "length", 0), "'length' does not divide the frame"),
    (put("positions", "width", 7), "'points' holds no whole frames"),
    (put("version", 1), "the first op, and no other, must be 'quantize'"),
    (put("signature", []), "the signature is not as it should be"),
    (put("signature", {"inputs": [], "outputs": [FRAME]}), "the signature is not as it should be"),
    (put("signature", {"inputs": [FRAME], "outputs": [FRAME]}), r"the ports of the signature have 10 numbers, not \d+"),
    (port(first=3), "the ports of the signature do not lie side by side"),
    (port(time=5), "the signature is not as it should be .the port .* has no consistent shape"),
    (port(symbols=1), "the signature is not as it should be .a port has a field of another type"),
    (port(shape=[0, 11]), "the ports of the signature do not lie side by side"),
    (drop("signature"), None),
    (tensor("mapped.points", lambda _: np.zeros(1, np.int16)), r"tensors that no op uses: \['mapped.points'\]"),
]
GRAPH_TENSORS = [
    ("mapped", "points", lambda a: a.astype(np.int32), "holds int32, wanted int16"),
    ("mapped", "points", lambda a: a[:2], "the points cover"),
    ("attend", "seen", lambda a: a[:0], "'seen' has shape .0,., wanted a vector"),
    ("places", "seen", lambda a: a[:-1], "'seen' has no entry for each pair of places"),
    ("places", "seen", lambda a: a + 1, "'seen' holds more than 0 and 1"),
    ("joined", "index", first_is(10**6), "'index' counts beyond the .* numbers of the inputs"),
    ("joined", "index", first_is(-(2**31)), "'index' counts beyond the .* numbers of the inputs"),
    ("phases", "begin", lambda a: a[1:], "'turn' and 'begin' differ in length"),
    ("norm", "bias", lambda a: a[:2], "'bias' has 2 entries for"),
    ("summed", "multiplier", lambda a: a[:1], "'multiplier' has no part for each input"),
    ("product", "rescale.multiplier", first_is(-(2**31)), "'rescale' has a multiplier beyond 31 bits"),
]


def refuse(content, sentence, path, capsys):
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=sentence) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert main(["show", str(path)]) == 1
    assert capsys.readouterr().err == f"error: {caught.value}\n"


@pytest.fixture(scope="module")
def graph():
    """The golden graph, with every kind of op that version 1 lacks."""
    return (GOLDEN / "graph_stream_v2.fewbit").read_bytes()


@pytest.mark.parametrize(("change", "sentence"), GRAPH)
def test_a_part_of_a_graph_that_does_not_fit_is_refused(change, sentence, graph, repack, tmp_path, capsys):
    content = repack(graph, change)
    if sentence is None:
        (tmp_path / "x.fewbit").write_bytes(content)
        load(tmp_path / "x.fewbit")
        return
    refuse(content, sentence, tmp_path / "x.fewbit", capsys)


@pytest.mark.parametrize(("name", "part", "make", "sentence"), GRAPH_TENSORS)
def test_a_tensor_of_a_graph_that_does_not_fit_is_refused(name, part, make, sentence, graph, repack, tmp_path, capsys):
    def change(meta, tensors):
        key = f"{op(meta, name)['tensors']}.{part}"
        tensors[key] = make(tensors[key])

    refuse(repack(graph, change), sentence, tmp_path / "x.fewbit", capsys)


def test_fields_that_have_their_default_are_left_out_and_may_be_written(graph, repack, tmp_path):
    def spell_out(meta, tensors):
        record = op(meta, "window")
        assert not {"groups", "grid"} & set(record)
        record |= {"groups": 1, "grid": [1, 1, *[1] * 6, 0, 0, 0, 0], "unknown": 3}

    (tmp_path / "x.fewbit").write_bytes(repack(graph, spell_out))
    assert load(tmp_path / "x.fewbit").to_bytes() == graph


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
