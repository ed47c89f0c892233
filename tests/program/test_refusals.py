"""Every op refuses fields and inputs that do not fit, each fault in its own sentence."""

import ast
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fewbit.errors import LoweringError
from fewbit.formats import Int, PerRow, Ternary, pack_kernels
from fewbit.program import ops
from fewbit.program.numerics import INT16
from fewbit.program.ops import Grid, Value
from tests.program.made_by_hand import ONE, matrix, narrow, points, rescale, source, value, vector

WIDE = Value(2, -(2**31), 2**31 - 1, "wide")


def weight(rows, columns, **more):
    return matrix(np.ones((rows, columns), int), **more)


def kept_weight(rows, columns, maps):
    """Weights of kernels of which none is zero."""
    data = pack_kernels(np.ones((rows, columns), int), maps, Int(8))
    return ops.Matrix(rows, columns, Int(8), "kernels", PerRow(), data, maps=maps)


def zeros(n):
    return np.zeros(n, np.int64)


IMAGE = Grid(2, 3, 2, 2, top=1)
LETTERS = (ops.Dense("letters", weight(2, 3), zeros(2), narrow()),)
WORDS = (ops.Dense("words", weight(2, 5), zeros(2), narrow()),)
SPELLING = (ops.Dense("spelling", weight(4, 4), zeros(4), narrow()),)
GOOD = {
    "quantize": (source(2), []),
    "lookup": (ops.Lookup("lookup", weight(3, 2), narrow()), []),
    "requantize": (ops.Requantize("requantize", 2, narrow()), [value(2)]),
    "dense": (ops.Dense("dense", weight(2, 3), zeros(2), rescale(), places=2), [value(6)]),
    "conv": (ops.Conv("conv", 2, 1, weight(4, 2), zeros(4), rescale(), 2, 1, 1, 2), [value(2)]),
    "causal": (ops.Conv("causal", 2, 2, weight(1, 4), zeros(1), rescale()), [value(2)]),
    "image": (ops.Conv("image", 1, 1, weight(1, 4), zeros(1), rescale(), grid=IMAGE), [value(6)]),
    "sru": (ops.SRU("sru", 2, weight(6, 2), zeros(6), narrow(), 1, 1, 0, -1, 1), [value(2)]),
    "qrnn": (ops.QRNN("qrnn", 2, 2, weight(6, 6), zeros(6), narrow(), narrow()), [value(3)]),
    "lstm": (
        ops.LSTM("lstm", 2, weight(8, 3), zeros(8), narrow(), weight(8, 2), narrow(), narrow()), [value(3)]
    ),
    "gru": (
        ops.GRU("gru", 2, weight(6, 3), zeros(6), narrow(), weight(6, 2), zeros(2), narrow(), narrow()), [value(3)]
    ),
    "hierarchy": (ops.Hierarchy("hierarchy", vector(0), 0, LETTERS, WORDS, SPELLING), [value(3)]),
    "sum": (ops.Sum("sum", vector(1, 1), 0, vector(0), -9, 9), [value(4), value(2)]),
    "mul": (ops.Mul("mul", rescale()), [value(4), value(2, name="y")]),
    "map": (ops.Map("map", points(0, 1, 2), -128, 7, 0, -9, 9), [value(2)]),
    "prelu": (ops.PReLU("prelu", 1, vector(1, 2), 0, -9, 9), [value(4)]),
    "take": (ops.Take("take", vector(1, -3)), [value(2), value(1)]),
    "places": (ops.Take("places", vector(0, -1), 3, 2), [value(5)]),
    "pool": (ops.Pool("pool", 0, 1, 2, 1, rescale(), 1, 1, IMAGE), [value(6)]),
    "reverse": (ops.Reverse("reverse"), [value(2)]),
    "norm": (ops.Norm("norm", 2, 0, 1, 0, vector(1), 0, vector(0, 0), -9, 9), [value(4)]),
    "softmax": (ops.Softmax("softmax", 2, 1, 0, rescale()), [value(4)]),
    "log_softmax": (ops.LogSoftmax("log_softmax", 2, 1, 0, rescale()), [value(4)]),
    "attend": (
        ops.Attend("attend", 2, 1, 3, 2, 0, 1, 0, rescale(), vector(1, 0, 1, 1)), [value(12), value(6), value(6)]
    ),
    "frames": (ops.Attend("frames", 2, 1, 3, 0, 4, 1, 0, rescale(), ONE), [value(6), value(3), value(3)]),
    "positions": (ops.Positions("positions", 2, points(1, 2, 3, 4)), [value(1)]),
    "phases": (ops.Phases("phases", vector(1, 2), vector(0, 0), rescale()), [value(1)]),
    "mean": (ops.Mean("mean", rescale()), [value(2)]),
    "first": (ops.First("first"), [value(2)]),
    "magnitude": (ops.Magnitude("magnitude", 0, rescale()), [value(2), value(2)]),
}  # fmt: skip
"""An op of each kind, and inputs that it takes."""

FIELDS = [
    ("quantize", {"offset": np.zeros(1, np.float32)}, "'gain' and 'offset' differ in length"),
    *(("quantize", {"low": -40000}, "the codes of 'quantize' leave 16 bits"),),
    ("quantize", {"low": 5, "high": 4}, "the codes of 'quantize' leave 16 bits"),
    ("quantize", {"repeat": 0}, "'repeat' or 'first' is out of range"),
    ("quantize", {"first": -1}, "'repeat' or 'first' is out of range"),
    ("lookup", {"rescale": narrow(vector(1, 1))}, "'rescale' has a wrong number of multipliers"),
    ("lookup", {"rescale": rescale()}, "'rescale' leaves 16 bits"),
    ("lookup", {"table": weight(3, 2, group=1, scale=np.ones((3, 2), int))}, "have scales per group"),
    ("lookup", {"places": 0}, "'places' or 'first' is out of range"),
    ("lookup", {"first": 2**25}, "'places' or 'first' is out of range"),
    ("requantize", {"width": 0}, "'width' must be at least 1"),
    ("requantize", {"width": 3}, "x gives 2 numbers a frame, requantize wants 3"),
    ("requantize", {"rescale": rescale()}, "'rescale' leaves 16 bits"),
    ("requantize", {"rescale": narrow(-(2**31))}, "'rescale' has a multiplier beyond 31 bits"),
    ("requantize", {"rescale": narrow(1, 63)}, "the shift of 'rescale' is out of range"),
    ("requantize", {"rescale": narrow(1, -1)}, "the shift of 'rescale' is out of range"),
    ("requantize", {"rescale": rescale(1, 0, 2, 1)}, r"'rescale' clamps to 2\.\.1, an empty range"),
    ("dense", {"bias": zeros(3)}, "'bias' has 3 entries for 2 rows"),
    ("dense", {"rescale": rescale(vector(1, 1, 1))}, "'rescale' has a wrong number of multipliers"),
    ("dense", {"places": 0}, "'places' must be at least 1"),
    ("dense", {"places": 1}, "x gives 6 numbers a frame, dense wants 3"),
    ("dense", {"rescale": rescale(2**31 - 1), "weight": weight(2, 3), "bias": vector(2**32, 0)}, "could pass 64 bits"),
    ("conv", {"kernel": 0}, "'kernel' must be at least 1"),
    ("conv", {"dilation": 0}, "'dilation' and 'groups' must be at least 1"),
    ("conv", {"groups": 0}, "'dilation' and 'groups' must be at least 1"),
    ("conv", {"groups": 3}, "the rows of 'weight' are no multiple of 'groups'"),
    ("conv", {"kernel": 3}, "the columns of 'weight' are no multiple of 'kernel'"),
    ("conv", {"stride": 0}, "'stride' must be at least 1"),
    ("conv", {"left": 3}, r"'left' must lie in 0\.\.reach - 1"),
    ("conv", {"left": -2}, r"'left' must lie in 0\.\.reach - 1"),
    ("conv", {"right": 3}, r"'right' must lie in 0\.\.reach - 1"),
    ("conv", {"right": -1}, r"'right' must lie in 0\.\.reach - 1"),
    ("conv", {"dilation": 2**24}, "the kernel of an op reaches over"),
    ("conv", {"weight": weight(4, 2, group=1, scale=np.ones((4, 2), int))}, "grouped rows with scales per group"),
    ("conv", {"weight": kept_weight(4, 2, maps=2)}, "'weight' stores kernels of 2 maps, the op reads 1"),
    ("conv", {"groups": 1}, "x gives 2 numbers a frame, conv wants 1"),
    ("causal", {"stride": 3}, r"'stride' must lie in 1\.\.kernel"),
    ("causal", {"stride": 0}, r"'stride' must lie in 1\.\.kernel"),
    ("image", {"grid": replace(IMAGE, height=0)}, "a size of 'grid' is no count"),
    ("image", {"grid": replace(IMAGE, stride_width=0)}, "a size of 'grid' is no count"),
    ("image", {"grid": replace(IMAGE, dilation_height=2**24 + 1)}, "a size of 'grid' is no count"),
    ("image", {"grid": replace(IMAGE, height=2**13, width=2**13)}, r"'grid' has more than 2\*\*24 places"),
    ("image", {"grid": replace(IMAGE, top=2)}, "the padding of 'grid' is larger than its kernel"),
    ("image", {"grid": replace(IMAGE, right=-1)}, "the padding of 'grid' is larger than its kernel"),
    ("image", {"grid": replace(IMAGE, width=1)}, "the kernel of 'grid' is larger than its frame"),
    ("image", {"grid": Grid(2**12, 2**12, 2, 2, top=1, left=1, bottom=1, right=1)}, r"more than 2\*\*24 windows"),
    ("sru", {"hidden": 3}, "'weight' does not fit 'hidden'"),
    ("sru", {"shift": 63}, "'shift', 'low' or 'high' is out of range"),
    ("sru", {"low": 2}, "'shift', 'low' or 'high' is out of range"),
    ("sru", {"rescale": rescale()}, "'rescale' leaves 16 bits"),
    ("qrnn", {"hidden": 3}, "'weight' does not fit 'hidden'"),
    ("qrnn", {"kernel": 4}, "the columns of 'weight' are no multiple of 'kernel'"),
    ("qrnn", {"kernel": 0}, "the kernel of an op reaches over"),
    ("qrnn", {"output": narrow(vector(1, 1, 1))}, "'output' has a wrong number of multipliers"),
    ("lstm", {"hidden": 3}, "'weight' or 'weight_hidden' does not fit 'hidden'"),
    ("lstm", {"weight_hidden": weight(8, 3)}, "'weight' or 'weight_hidden' does not fit 'hidden'"),
    ("lstm", {"output": rescale()}, "'output' leaves 16 bits"),
    ("lstm", {"rescale_hidden": rescale()}, "'rescale_hidden' leaves 16 bits"),
    ("lstm", {"fine": 2}, "'fine' is neither 0 nor 1"),
    ("gru", {"bias_bits": 17}, "'bias_bits' is 17, wanted 0 to 16"),
    ("lstm", {"fine": 1, "rescale": rescale(1, 0, -(2**19) - 1, 1)}, "'rescale' leaves 20 bits"),
    ("lstm", {"fine": 1, "rescale": rescale(1, 0, -(2**19), 2**19 - 1)}, None),
    ("gru", {"fine": 1, "rescale_hidden": rescale(1, 0, 0, 2**19)}, "'rescale_hidden' leaves 20 bits"),
    ("gru", {"fine": 1, "output": rescale()}, "'output' leaves 16 bits"),
    ("gru", {"bias_hidden": zeros(3)}, "'bias_hidden' does not fit 'hidden'"),
    ("gru", {"weight": weight(8, 3), "bias": zeros(8)}, "'weight' or 'weight_hidden' does not fit 'hidden'"),
    ("hierarchy", {"direct": 2}, "'direct' is neither 0 nor 1"),
    ("hierarchy", {"boundaries": vector(3)}, "'boundaries' are no columns"),
    ("hierarchy", {"letters": ()}, "a part of the hierarchy has no op"),
    ("hierarchy", {"words": SPELLING}, r"the input of hierarchy\.words gives 5 numbers a frame, spelling wants 4"),
    ("hierarchy", {"spelling": WORDS}, r"the input of hierarchy\.spelling gives 4 numbers a frame, words wants 5"),
    ("hierarchy", {"letters": (source(3, "letters"),)}, "letters cannot be a part of a chain"),
    ("hierarchy", {"letters": (ops.Reverse("letters"),)}, "letters cannot be a part of a chain"),
    ("hierarchy", {"letters": (replace(LETTERS[0], inputs=("x",)),)}, "letters cannot be a part of a chain"),
    (
        "hierarchy",
        {"letters": (ops.Pool("letters", 0, 3, 2, 2, narrow(), 1),)},
        "letters cannot be a part of a chain",
    ),
    (
        "hierarchy",
        {"letters": (ops.Hierarchy("letters", vector(0), 0, LETTERS, WORDS, SPELLING),)},
        "letters cannot be a part of a chain",
    ),
    ("hierarchy", {"letters": (replace(LETTERS[0], rescale=rescale()),)}, "the results of letters leave 16 bits"),
    ("sum", {"multiplier": vector(1, 1, 1)}, "'multiplier' has no part for each input"),
    ("sum", {"multiplier": vector(1, 1, 1, 1, 1, 1)}, "an input or vector does not divide the frame"),
    ("sum", {"bias": vector(0, 0, 0)}, "an input or vector does not divide the frame"),
    ("sum", {"shift": 63}, "'shift' is out of range"),
    ("sum", {"low": 10}, r"the codes lie in 10\.\.9, an empty range"),
    ("mul", {"rescale": rescale(vector(1, 1))}, "'rescale' has a wrong number of multipliers"),
    ("map", {"fraction_bits": 17}, "'fraction_bits' or 'spare_bits' is wrong"),
    ("map", {"spare_bits": -1}, "'fraction_bits' or 'spare_bits' is wrong"),
    ("map", {"low": 10}, "an empty range"),
    ("map", {"first": -127}, None),
    ("map", {"first": -126}, r"the points cover -126\.\.129, but x gives -127\.\.127"),
    ("map", {"points": points(0, 1)}, r"the points cover -128\.\.-1, but x gives -127\.\.127"),
    ("map", {"first": -(2**15) - 1, "fraction_bits": 16}, "the points cover"),
    ("prelu", {"shift": 63}, "'shift' is out of range"),
    ("prelu", {"negative": vector(1, 2, 3)}, "'negative' does not divide the frame"),
    ("prelu", {"positive": 2**31}, "a slope leaves 32 bits"),
    ("prelu", {"negative": vector(-(2**31))}, "a slope leaves 32 bits"),
    ("prelu", {"low": 10}, "an empty range"),
    ("places", {"repeat": 0}, "'repeat' or 'stride' is out of range"),
    ("places", {"stride": -1}, "'repeat' or 'stride' is out of range"),
    ("places", {"repeat": 4}, "'index' counts beyond the 5 numbers of the inputs"),
    ("places", {"repeat": 2**24, "stride": 0}, "places takes more than 16777216 numbers"),
    ("take", {"index": vector(4)}, "'index' counts beyond the 3 numbers of the inputs"),
    ("take", {"index": vector(-4)}, "'index' counts beyond the 3 numbers of the inputs"),
    ("take", {"index": zeros(0)}, "take takes nothing"),
    ("pool", {"maximum": 2}, "'maximum' is neither 0 nor 1"),
    ("pool", {"channels": 0}, "'channels' must be at least 1"),
    ("pool", {"channels": 2}, "x gives 6 numbers a frame, pool wants 12"),
    ("pool", {"kernel": 2**13 + 1}, r"a window has more than 2\*\*15 numbers"),
    ("pool", {"left": 2}, "'left' must lie in"),
    ("norm", {"length": 3}, "'length' does not divide the frame"),
    ("norm", {"length": 0}, "'length' does not divide the frame"),
    ("norm", {"centre": 2}, "'centre' is neither 0 nor 1"),
    ("norm", {"eps_mantissa": -1}, "'eps' is out of range"),
    ("norm", {"eps_shift": 31}, "'eps' is out of range"),
    ("norm", {"shift": -1}, "'shift' is out of range"),
    ("norm", {"multiplier": vector(1, 1, 1)}, "'multiplier' has 3 entries for 2 numbers"),
    ("norm", {"bias": vector(1, 1, 1)}, "'bias' has 3 entries for 2 numbers"),
    ("norm", {"low": 10}, "an empty range"),
    ("softmax", {"length": 3}, "'length' does not divide the frame"),
    ("softmax", {"multiplier": 2**16 + 1}, "'multiplier' or 'shift' makes no exponents of 10 fractional bits"),
    ("softmax", {"multiplier": -1}, "'multiplier' or 'shift' makes no exponents"),
    ("softmax", {"shift": 63}, "'multiplier' or 'shift' makes no exponents"),
    ("log_softmax", {"length": 3}, "'length' does not divide the frame"),
    ("log_softmax", {"multiplier": 2**16 + 1}, "'multiplier' or 'shift' makes no exponents of 10 fractional bits"),
    ("log_softmax", {"shift": 63}, "'multiplier' or 'shift' makes no exponents"),
    ("log_softmax", {"rescale": rescale(vector(1, 1))}, "'rescale' has a wrong number of multipliers"),
    ("attend", {"heads": 0}, "'heads', 'groups' and 'width' must be at least 1"),
    ("attend", {"groups": 3}, "'heads' is no multiple of 'groups'"),
    ("attend", {"places": -1}, "a count of keys is out of range"),
    ("attend", {"window_frames": 2**20 + 1}, "a count of keys is out of range"),
    ("attend", {"width": 2}, "x gives 12 numbers a frame, attend wants 8"),
    ("attend", {"seen": vector(1, 1)}, "'seen' has no entry for each pair of places"),
    ("attend", {"seen": vector(1, 0, 2, 1)}, "'seen' holds more than 0 and 1"),
    ("attend", {"seen": vector(1, 1, 0, 0)}, "'seen' hides all keys of a place"),
    ("attend", {"multiplier": 2**17}, "'multiplier' or 'shift' makes no exponents"),
    ("attend", {"seen": ONE}, None),
    ("frames", {"seen": vector(0)}, "'seen' has no entry for each pair of places"),
    ("magnitude", {"eps": -1}, "'eps' is negative"),
    ("magnitude", {"rescale": rescale(vector(1, 1))}, "'rescale' has a wrong number of multipliers"),
    ("positions", {"width": 0}, "'points' holds no whole frames"),
    ("positions", {"width": 3}, "'points' holds no whole frames"),
    ("phases", {"begin": vector(0)}, "'turn' and 'begin' differ in length"),
    ("phases", {"rescale": rescale(vector(1, 1))}, "'rescale' has a wrong number of multipliers"),
    ("mean", {"rescale": rescale(vector(1, 1))}, "'rescale' has a wrong number of multipliers"),
]
INPUTS = [
    ("requantize", [value(2), value(2)], "requantize reads 2 values, wanted one"),
    ("reverse", [], "reverse reads 0 values, wanted one"),
    ("dense", [value(7, name="y")], "y gives 7 numbers a frame, dense wants 6"),
    ("sru", [value(3)], "x gives 3 numbers a frame, sru wants 2"),
    ("sum", [value(4), value(3)], "an input or vector does not divide the frame"),
    ("sum", [value(2), WIDE], "a term of the sum leaves 16 bits"),
    ("sum", [], "'multiplier' has no part for each input"),
    ("mul", [value(4)], "mul reads 1 values, wanted two"),
    ("mul", [value(2), value(4, name="y")], "x and y differ in size"),
    ("mul", [WIDE, value(2)], "a factor of the product leaves 16 bits"),
    ("take", [], "take takes nothing"),
    ("pool", [replace(WIDE, size=6)], "wide leaves 16 bits"),
    ("norm", [WIDE], "wide leaves 16 bits"),
    ("softmax", [WIDE], "wide leaves 16 bits"),
    ("log_softmax", [WIDE], "wide leaves 16 bits"),
    ("mean", [WIDE], "wide leaves 16 bits"),
    ("magnitude", [], "magnitude reads 0 values, wanted 1 to"),
    ("magnitude", [value(2), value(3, name="y")], "y gives 3 numbers a frame, magnitude wants 2"),
    ("magnitude", [value(2), WIDE], "wide leaves 16 bits"),
    ("attend", [value(12), value(6)], "attend reads 2 values, wanted queries, keys and values"),
    ("attend", [value(12), value(6), value(5, name="v")], "v gives 5 numbers a frame, attend wants 6"),
    ("attend", [value(12), replace(WIDE, size=6), value(6)], "wide leaves 16 bits"),
    ("map", [value(2, -129, 0)], r"the points cover -128\.\.127, but x gives -129\.\.0"),
    ("map", [value(2, 0, 128)], r"the points cover -128\.\.127, but x gives 0\.\.128"),
]


@pytest.mark.parametrize("kind", GOOD)
def test_what_fits_is_taken(kind):
    op, inputs = GOOD[kind]
    assert op.value(inputs).size >= 1


def message(op, inputs):
    with pytest.raises(LoweringError) as caught:
        op.value(inputs)
    return str(caught.value)


@pytest.mark.parametrize(("kind", "fields", "sentence"), FIELDS)
def test_a_field_that_does_not_fit_is_refused(kind, fields, sentence):
    op, inputs = GOOD[kind]
    if sentence is None:
        replace(op, **fields).value(inputs)
        return
    with pytest.raises(LoweringError, match=sentence):
        replace(op, **fields).value(inputs)


@pytest.mark.parametrize(("kind", "inputs", "sentence"), INPUTS)
def test_inputs_that_do_not_fit_are_refused(kind, inputs, sentence):
    with pytest.raises(LoweringError, match=sentence):
        GOOD[kind][0].value(inputs)


def test_scores_that_could_pass_45_bits_are_refused():
    op = ops.Attend("a", 1, 1, 1 << 15, 0, 2, 1, 0, rescale(), ONE)
    with pytest.raises(LoweringError, match="scores could pass 45 bits"):
        op.value([value(1 << 15, *INT16)] * 3)
    op.value([value(1 << 15, -32767, 32767)] * 3)


def test_sums_that_float64_cannot_hold_are_refused():
    scale = np.full((1, 1), 2**14)
    op = ops.Dense("d", weight(1, 1 << 18, group=1 << 18, scale=scale), zeros(1), rescale(1, 40))
    op = replace(op, weight=matrix(np.full((1, 1 << 18), 127), group=1 << 18, scale=scale))
    with pytest.raises(LoweringError, match="sums of 'weight' could pass 53 bits"):
        op.value([value(1 << 18, *INT16)])


def test_a_chain_with_a_frame_of_too_many_numbers_is_refused():
    grid = Grid(1, 1, 1, 2**14, left=2**14 - 1, right=2**14 - 1)
    wide = ops.Pool("many", 0, 2**11, 1, 1, narrow(), grid=grid)
    first = ops.Take("first", np.ones(2**11, np.int64))
    op = ops.Hierarchy("h", vector(0), 0, (first, wide), WORDS, SPELLING)
    with pytest.raises(LoweringError, match="many gives 33554432 numbers a frame, more than 16777216"):
        op.value([value(3)])


@cache
def sentences():
    """The longest constant part of each sentence that a `demand` or a LoweringError in `ops` can say."""
    found = set()
    for file in Path(ops.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("demand", "LoweringError"):
                said = node.args[-1]
                texts = [each.value for each in ast.walk(said) if isinstance(each, ast.Constant)]
                texts = [text for text in texts if isinstance(text, str) and text.strip()]
                if texts:
                    found.add(max(texts, key=len))
    return sorted(found)


@pytest.mark.parametrize("part", sentences())
def test_every_sentence_is_said_by_a_test(part):
    text = Path(__file__).read_text()
    plain = text.replace("\\", "")
    assert part.strip(" '") in plain or any(part in said for said in all_said())


@cache
def all_said():
    said = [message(replace(GOOD[kind][0], **fields), GOOD[kind][1]) for kind, fields, sentence in FIELDS if sentence]
    return said + [message(GOOD[kind][0], inputs) for kind, inputs, _ in INPUTS]


def test_ternary_tables_are_tables_too():
    assert ops.Lookup("l", weight(3, 2, format=Ternary()), narrow()).value([]) == Value(6 // 3, *INT16)
