"""Pictures of packed networks: what stands in them, and that nothing lies on anything else."""

import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fewbit.errors import MissingExtraError
from fewbit.plot import plot_program
from fewbit.plot.program_columns import columns
from fewbit.plot.program_graph import FAMILIES, HEIGHT, PITCH, WIDTH
from fewbit.plot.program_nodes import network
from fewbit.plot.program_places import arrange
from fewbit.program import Program, cost, load, ops
from fewbit.program.numerics import INT16, rescale_from
from tests.laws.random_graphs import graphs

GOLDEN = Path(__file__).parents[1] / "golden"


def texts(path):
    return [text.replace("&#x2026;", "…") for text in re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text("utf-8"))]


@pytest.fixture(scope="module")
def parts():
    return load(GOLDEN / "graph_parts_v2.fewbit")


def test_the_picture_names_every_op_with_its_bits_and_bytes(parts, tmp_path):
    said = texts(plot_program(parts, tmp_path / "net.svg", "a network"))
    assert said[0] == "a network"
    for op, row in zip(parts.ops, cost(parts).ops, strict=True):
        assert op.name in said
        assert any(text.startswith(f"{row.size:,} × {row.result_bits} bit") for text in said), op.name
        assert any(text.startswith(op.kind) and text.endswith(f"{row.bytes:,} bytes") for text in said), op.name
    assert "bits of a number" in said
    assert "numbers a frame" in said
    assert f"bar: bytes, full at {max(row.bytes for row in cost(parts).ops):,}" in said


def test_the_same_network_gives_the_same_svg(every_op, tmp_path):
    one, other = (plot_program(every_op, tmp_path / name, "x").read_bytes() for name in ("a.svg", "b.svg"))
    assert one == other


@pytest.mark.parametrize("ending", [".png", ".pdf"])
def test_other_endings_give_other_files(ending, every_op, tmp_path):
    start = plot_program(every_op, tmp_path / f"net{ending}").read_bytes()[:5]
    assert start == {".png": b"\x89PNG\r", ".pdf": b"%PDF-"}[ending]


@pytest.mark.parametrize(
    ("missing", "code", "said"),
    [
        (["torch", "accelerate", "tqdm"], 0, ""),
        (["matplotlib"], 1, f"error: {MissingExtraError.for_extra('plot', 'pictures need matplotlib')}\n"),
    ],
)
def test_drawing_needs_matplotlib_and_no_torch(missing, code, said, every_op, tmp_path):
    path = every_op.save(tmp_path / "net.fewbit")
    text = f"import sys; sys.modules |= dict.fromkeys({missing!r}); from fewbit.cli.main import main; sys.exit(main())"
    words = [sys.executable, "-c", text, "show", str(path), "--json", "--graph", str(tmp_path / "net.svg")]
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (code, said)
    assert (tmp_path / "net.svg").exists() == (code == 0)


def test_every_kind_of_op_has_a_colour():
    kinds = [kind for _, some in FAMILIES.values() for kind in some.split()]
    assert sorted(kinds) == sorted(ops.KINDS)


def test_a_residual_chain_is_straight_and_its_line_keeps_to_one_side():
    reads = [(), (0,), (1,), (2,), (3, 0), (4,), (5,), (6, 4)]
    layout = arrange(reads, WIDTH)
    assert len({round(layout.x[node, layout.layer[node]], 3) for node in range(len(reads))}) == 1
    passing = [point for row in layout.rows for point in row if not layout.is_node(point)]
    assert {node for node, _ in passing} == {0, 4}
    assert all(abs(layout.x[point]) > WIDTH / 2 for point in passing)
    assert len({round(layout.x[point], 6) for point in passing}) == 1


def test_three_branches_stand_beside_each_other_and_the_middle_one_below_its_source():
    layout = arrange([(), (0,), (0,), (0,), (1, 2, 3)], WIDTH)
    assert [point[0] for point in layout.rows[1]] == [1, 2, 3]
    assert layout.x[0, 0] == pytest.approx(layout.x[2, 1]) == pytest.approx(layout.x[4, 2])


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
@example(seed=55)
def test_values_that_pass_keep_off_nodes(seed):
    rng = np.random.default_rng(seed)
    counts = [0 if rng.random() < 0.1 else int(rng.integers(1, 4)) for _ in range(rng.integers(2, 19))]
    reads = [[], *(sorted({int(place) for place in rng.integers(0, i, n)}) for i, n in enumerate(counts, 1))]
    layout = arrange(reads, WIDTH)
    for row in layout.rows:
        for a, b in pairwise(row):
            assert layout.x[b] - layout.x[a] > (layout.is_node(a) + layout.is_node(b)) * WIDTH / 2, (a, b)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=graphs(whole=True))
def test_no_node_lies_on_another_and_lines_only_go_down(case):
    net = network(Program(case.ops))
    layout = arrange([node.reads for node in net.nodes], WIDTH)
    assert {node for row in layout.rows for node, level in row if layout.layer[node] == level} == set(
        range(len(net.nodes))
    )
    for node, one in enumerate(net.nodes):
        assert all(layout.layer[place] < layout.layer[node] for place in one.reads)
    assert all(stop[1] == start[1] + 1 for start, stop in layout.links)
    for row in layout.rows:
        for a, b in pairwise(row):
            apart = layout.x[b] - layout.x[a]
            assert apart > (layout.is_node(a) + layout.is_node(b)) * WIDTH / 2, (a, b)
    place = columns(layout, net, WIDTH, PITCH)
    spots = [place.at[node, layout.layer[node]] for node in range(len(net.nodes))]
    for i, (x, y) in enumerate(spots):
        assert WIDTH / 2 - 1e-6 <= x <= place.width - WIDTH / 2 + 1e-6
        assert -place.height <= y - HEIGHT / 2 < y < 0
        assert all(abs(x - a) > WIDTH - 1e-6 or abs(y - b) > PITCH - 1e-6 for a, b in spots[:i])


def test_many_equal_blocks_are_one_box(tmp_path):
    program = Program(tuple(deep(20)))
    net = network(program)
    assert len(net.nodes) == 2 + 1 + 4
    assert [text for _, _, text in net.blocks] == ["20 times: layers.0 to layers.19"]
    said = texts(plot_program(program, tmp_path / "deep.svg"))
    assert "20 times: layers.0 to layers.19" in said
    assert "layers.7.act" not in said
    every = texts(plot_program(program, tmp_path / "every.svg", expand_blocks=True))
    assert all(op.name in every for op in program.ops)


def deep(count):
    """Blocks of four ops, the last of which adds what the block read."""
    rescale = rescale_from(0.5, -127, 127)
    yield ops.Quantize("input", np.ones(8, np.float32), np.zeros(8, np.float32), -127, 127)
    before = "input"
    for i in range(count):
        name = f"layers.{i}"
        yield ops.Requantize(f"{name}.narrow", 8, rescale)
        yield ops.Requantize(f"{name}.act", 8, rescale)
        yield ops.Requantize(f"{name}.wide", 8, rescale)
        one = np.ones(2, np.int64)
        yield ops.Sum(f"{name}.add", one * 256, 0, np.zeros(1, np.int64), *INT16, inputs=(before, f"{name}.wide"))
        before = f"{name}.add"
