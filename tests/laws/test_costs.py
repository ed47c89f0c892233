"""Laws of costs: every byte of a file belongs to an op, and multiply-accumulates are those of the reference."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fewbit.program import Program, cost, load, ops
from fewbit.program.graph import make_graph
from fewbit.program.ops import Attend, Hierarchy, MatrixProduct, Step
from tests.laws.random_graphs import graphs

GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*.fewbit"))
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


def law(examples):
    return settings(max_examples=examples, deadline=None, suppress_health_check=SLOW)


@law(80)
@given(case=graphs(whole=True))
def test_every_byte_of_the_payload_belongs_to_an_op(case):
    program = Program(case.ops)
    found = cost(program)
    assert found.payload_bytes == sum(op.bytes for op in found.ops) == found.weight_bytes
    assert found.file_bytes == found.header_bytes + found.payload_bytes == len(program.to_bytes())
    assert found.weights == sum(matrix.codes().size for op in case.ops for matrix in op.matrices())
    for row, value in zip(found.ops, program.graph.values, strict=True):
        assert row.size == value.size
        low, high = (-1 << row.result_bits - 1, (1 << row.result_bits) - 1)
        assert low <= value.low <= value.high <= (high if value.low >= 0 else -low - 1)


def test_the_bytes_of_every_kind_of_op_are_counted():
    kinds = set()
    for path in GOLDEN:
        found = cost(load(path))
        assert found.payload_bytes == found.weight_bytes, path
        kinds |= {op.op for op in found.ops}
    assert kinds == {kind.__name__ for kind in ops.KINDS.values()}


def count_products(patch):
    """A list that every product with weights, and every attention, adds its multiply-accumulates to."""
    made = []
    product, mix = MatrixProduct.__call__, Attend._mix

    def counted_product(self, x, group=0, groups=1):
        y = product(self, x, group, groups)
        made.append(y.size * self._transposed.shape[0])
        return y

    def counted_mix(self, q, k, v, seen):
        made.append(2 * q.size * k.size // (self.groups * self.width))
        return mix(self, q, k, v, seen)

    patch.setattr(MatrixProduct, "__call__", counted_product)
    patch.setattr(Attend, "_mix", counted_mix)
    return made


@law(60)
@given(case=graphs(whole=True), frames=st.integers(1, 30), seed=st.integers(0, 2**32 - 1))
def test_multiply_accumulates_are_those_that_the_reference_makes(case, frames, seed):
    graph, found = make_graph(case.ops), []
    rows = cost(Program(case.ops)).ops
    x = case.frames(np.random.default_rng(seed), frames)
    with pytest.MonkeyPatch.context() as patch:
        made = count_products(patch)
        for op, places, row, timing in zip(graph.ops, graph.inputs, rows, graph.timings, strict=True):
            xs = [found[place] for place in places] or [x]
            ready = min(len(part) for part in xs)
            made.clear()
            y, _ = op.run([part[:ready] for part in xs], op.start(), Step(op.prepare(), True))
            found.append(y)
            told = round(row.macs * timing.rate) * len(y) + row.pair_macs * len(y) ** 2
            if isinstance(op, Hierarchy) or (isinstance(op, Attend) and op.window_frames):
                assert sum(made) <= told, op  # words do not end in every frame; windows fill
            else:
                assert sum(made) == told, op
