"""What `fewbit show` says of a packed network, as text and as JSON."""

import json

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import nn

import fewbit as fb
from fewbit.cli import output
from fewbit.cli.main import main
from fewbit.cli.network_table import network_lines, number
from fewbit.models.images import ResNet
from fewbit.program import Program, cost
from fewbit.program.naming import cut, root_of
from fewbit.program.overview import overview
from fewbit.program.repeats import find_repeats
from tests.laws.random_graphs import graphs


def packed(model, shape):
    generator = torch.Generator().manual_seed(0)
    examples = [torch.randn(1, *shape, generator=generator) for _ in range(3)]
    quantized = fb.compress(model.eval(), fb.Quantize("int8", "int8", calibration=examples)).eval()
    return fb.pack(quantized, example=examples)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "relu", batch_first=True, norm_first=True)
        self.projection = nn.Linear(4, 8)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, frames):
        return self.head(self.encoder(self.projection(frames)))


class Inside(nn.Module):
    def __init__(self):
        super().__init__()
        self.recogniser_of_images = nn.ModuleDict({"backbone_network": ResNet(5)})

    def forward(self, image):
        return self.recogniser_of_images["backbone_network"](image)


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return packed(Inside(), (3, 8, 8))


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return packed(Encoder(), (6, 4))


def lines(program, width=80, expand_blocks=False):
    return [line for line, _ in network_lines(program.graph, cost(program), overview(program), width, expand_blocks)]


@pytest.mark.parametrize("expand_blocks", [False, True])
@pytest.mark.parametrize("name", ["resnet", "encoder"])
def test_a_deep_network_fits_80_columns(name, expand_blocks, request):
    found = lines(request.getfixturevalue(name), expand_blocks=expand_blocks)
    assert max(map(len, found)) <= 80
    wide = lines(request.getfixturevalue(name), 200, expand_blocks)
    assert not any("…" in line for line in wide)


def test_a_resnet_says_how_it_runs_and_folds_its_blocks(resnet):
    text = "\n".join(lines(resnet))
    assert "takes   image (3, 8, 8)\ngives   result (5,)\nruns    on one input at once\n" in text
    assert "names   of layers begin with recogniser_of_images.backbone_network\n" in text
    assert [line.split(",")[0] for line in lines(resnet) if line.startswith("x")] == [
        "x3  block00 to block02",
        "x2  block11 to block12",
        "x2  block21 to block22",
    ]
    (joined,) = (line.split() for line in lines(resnet) if line.startswith("18 "))
    assert joined == ["18", "block10", "sum", "17", "16", "512", "15", "12", "0"]
    assert text.endswith(f"= header {cost(resnet).header_bytes:,} + payload {cost(resnet).payload_bytes:,}")


def test_every_op_has_a_row_if_asked_for(resnet):
    found = lines(resnet, 200, expand_blocks=True)
    start = next(i for i, line in enumerate(found) if " layer " in line) + 1
    rows = found[start : start + len(resnet.ops)]
    assert [row.split()[1] for row in rows] == [
        op.name.removeprefix("recogniser_of_images.backbone_network.") for op in resnet.ops
    ]
    assert len(lines(resnet)) < len(found) - 9


def test_a_transformer_says_what_needs_the_whole_input_and_counts_pairs(encoder):
    text = "\n".join(lines(encoder, 120))
    assert "takes   frames (time, 4)\ngives   result (time, 3)\nruns    on a whole input at once" in text
    assert "encoder.layers.0.self_attn" in text
    assert "x3  encoder.layers.0 to encoder.layers.2, each " in text  # the last one gives fewer bits
    assert "16/pair" in text
    assert "and 64 for each pair of frames" in text


def test_a_stream_says_its_stride_and_state(every_op):
    text = "\n".join(lines(every_op))
    assert "takes   frames (time, 6)\ngives   scores (time, 3)\n" in text
    assert "runs    as a stream: a result every 2 frames, 0 frames of lookahead\n" in text
    assert f"state   {overview(every_op).state_numbers:,} numbers" in text
    assert "reads" not in text.split("\n\n")[1].splitlines()[0]  # each op reads the one before
    assert "int6/2" in text


@pytest.mark.parametrize(("name", "matrix"), [("an4", "1152 x 384"), ("commands", "576 x 192"), ("digits", "288 x 96")])
def test_shipped_networks_are_shown_without_cuts(name, matrix, capsys, monkeypatch):
    monkeypatch.setattr(output.console, "_width", 80)
    assert main(["show", name]) == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "…" not in said
    assert matrix in said


def test_json_lists_ops_with_plain_values(encoder, tmp_path, capsys):
    path = encoder.save(tmp_path / "net.fewbit")
    assert main(["show", str(path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["file"] == str(path)
    assert said["inputs"] == [{"name": "frames", "shape": ["time", 4], "symbols": False}]
    assert said["outputs"] == [{"name": "result", "shape": ["time", 3], "symbols": False}]
    assert (said["timed"], said["lookahead"], said["stride"]) == (True, 0, 1)
    assert said["whole"] == "encoder.layers.0.self_attn.scaled_dot_product_attention"
    assert said["file_bytes"] == said["header_bytes"] + said["payload_bytes"] == path.stat().st_size
    assert said["pair_macs"] == 4 * 2 * 8
    assert {"state_numbers", "native_state_bytes", "native_value_bytes", "weight_bytes", "macs"} < set(said)
    assert [op["name"] for op in said["ops"]] == [op.name for op in encoder.ops]
    for op, places in zip(said["ops"], encoder.graph.inputs, strict=True):
        assert op["inputs"] == [encoder.ops[place].name for place in places]
    keys = {"name", "op", "inputs", "shape", "format", "bits", "weights", "bytes", "macs", "size", "result_bits"}
    kept = {"kernels", "kept_kernels", "columns", "kept_columns", "pattern_bytes"}
    assert all(set(op) == keys | kept | {"pair_macs"} for op in said["ops"])


def test_blocks_that_differ_are_not_folded(encoder, resnet):
    for program in (encoder, resnet):
        found = cost(program)
        repeats = find_repeats(program.graph, found)
        assert repeats
        for repeat in repeats:
            assert repeat.count > 1
            first = found.ops[repeat.first : repeat.first + repeat.length]
            for i in range(1, repeat.count):
                start = repeat.first + i * repeat.length
                other = found.ops[start : start + repeat.length]
                assert [(a.op, a.size, a.bytes, a.macs, a.result_bits) for a in first] == [
                    (b.op, b.size, b.bytes, b.macs, b.result_bits) for b in other
                ]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(case=graphs(whole=True))
def test_any_network_fits_80_columns(case):
    program = Program(case.ops)
    found = lines(program)
    assert max(map(len, found)) <= 80
    assert len(found) > len(case.ops) - sum(r.length * r.count for r in find_repeats(program.graph, cost(program)))


def test_names_and_numbers_are_shortened_in_the_middle_and_at_the_end():
    assert cut("encoder.layers.0.attention", 12) == "encode…ntion"
    assert cut("short", 5) == "short"
    assert root_of(["input", "model.backbone.a", "model.backbone.b.c"]) == "model.backbone"
    assert root_of(["input", "encoder.layers.0.a", "encoder.layers.1.a"]) == ""  # "0.a" would say little
    assert [number(value, 10**4) for value in (9999, 12_345, 2_359_296, 512e6, 3.2e9)] == [
        *("9,999", "12.3k", "2.4M", "512M", "3.2G"),
    ]


def test_the_native_runtime_is_asked_for_memory_only_where_it_is(every_op, monkeypatch):
    monkeypatch.setenv("FEWBIT_TARGET", "reference")
    seen = overview(every_op)
    assert (seen.native_state_bytes, seen.native_value_bytes, seen.native_weight_bytes) == (None, None, None)
    assert "native" not in "\n".join(lines(every_op))


def test_drawing_needs_a_known_ending(every_op, tmp_path, capsys):
    path = every_op.save(tmp_path / "net.fewbit")
    assert main(["show", str(path), "--graph", str(tmp_path / "net.gif")]) == 1
    assert "net.gif: a picture is written as .svg, .png, .pdf, not as '.gif'" in capsys.readouterr().err
    assert np.sum([file.suffix == ".gif" for file in tmp_path.iterdir()]) == 0
