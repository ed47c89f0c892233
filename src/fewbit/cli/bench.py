"""``fewbit bench``: how fast products, recurrent networks and packed files run on this machine."""

from typing import Annotated, Any

import typer

from fewbit.cli.output import print_json, print_table, say
from fewbit.cli.packed import Packed
from fewbit.shipped import find

app = typer.Typer(help="Measure the native runtime on this machine.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads for large products.")]
Target = Annotated[str | None, typer.Option(help="Instruction set; default the best of this machine.")]
Format = Annotated[str, typer.Option(help="Format of the weights: ternary, binary, int2 to int8, sparse8,2.")]
Seconds = Annotated[float, typer.Option(min=0.01, help="Seconds of measurement.")]


@app.command()
def matmul(
    format: Format = "ternary",
    shape: Annotated[str, typer.Option(help="Shape of the weights: ROWSxCOLUMNS.")] = "1024x1024",
    rows: Annotated[int, typer.Option(min=1, help="Frames of activations in one product.")] = 1,
    threads: Threads = 1,
    target: Target = None,
    seconds: Seconds = 0.5,
    json: Json = False,
) -> None:
    """Time one matrix product: float input and output, activations quantized to 8 bits inside."""
    from fewbit.speed import time_product

    sides = shape.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise typer.BadParameter(f"shape must be ROWSxCOLUMNS, such as 1024x1024, not {shape!r}")
    result = time_product(format, int(sides[0]), int(sides[1]), rows, threads, target, seconds)
    _print(result, json, f"{format} weights {shape}, {rows} frames")


@app.command()
def rnn(
    cell: Annotated[str, typer.Option(help="Recurrent layer: sru, qrnn, lstm or gru.")] = "sru",
    format: Format = "ternary",
    hidden: Annotated[int, typer.Option(min=1, help="Units of each layer.")] = 512,
    layers: Annotated[int, typer.Option(min=1, help="Number of layers.")] = 1,
    steps: Annotated[int, typer.Option(min=1, help="Frames per call.")] = 16,
    threads: Threads = 1,
    target: Target = None,
    seconds: Seconds = 0.5,
    json: Json = False,
) -> None:
    """Time a recurrent network with random weights."""
    from fewbit.speed import time_network

    result = time_network(cell, hidden, layers, steps, format, threads, target, seconds)
    _print(result, json, f"{layers} x {hidden} {cell.upper()}, {format} weights, {steps} frames per call")


@app.command()
def file(
    path: Packed,
    most: Annotated[int, typer.Option(min=1, help="Longest block of frames to try, which bounds the latency.")] = 64,
    threads: Threads = 1,
    target: Target = None,
    seconds: Seconds = 0.3,
    json: Json = False,
) -> None:
    """Time a packed network for blocks of 1, 2, 4 ... frames and recommend a block length."""
    from fewbit.program import load
    from fewbit.speed import choose_block, time_program

    program = load(find(path))
    choice = choose_block(program, most, threads=threads, target=target, seconds=seconds)
    result = time_program(program, choice.frames, threads, target, seconds)
    if json:
        print_json({"file": path, "block": choice.frames, "step_us_by_block": choice.step_us, **result})
        return
    rows = [(str(frames), f"{time:.2f}", f"{choice.step_us[1] / time:.2f}") for frames, time in choice.step_us.items()]
    print_table(f"{path}: time per frame", ("frames per block", "microseconds per frame", "speed-up over 1"), rows)
    say(f"Use blocks of {choice.frames} frames, the shortest that are about as fast as any up to {most}.")
    _print(result, json, f"{path}, {choice.frames} frames per call")


def _print(result: dict[str, Any], json: bool, title: str) -> None:
    if json:
        print_json(result)
        return
    rows = [
        ("time per call, median", f"{result['median_us']:.2f} µs"),
        ("10 % to 90 %", f"{result['p10_us']:.2f} to {result['p90_us']:.2f} µs"),
    ]
    if "step_us" in result:
        rows.append(("time per frame", f"{result['step_us']:.2f} µs"))
    rows += [
        ("target", f"{result['target']}, threads {result['threads']}"),
        ("weights in memory", f"{result['weight_bytes']:,} bytes"),
        ("weights read", f"{result['gb_per_second']:.1f} GB/s"),
    ]
    if "gops" in result:
        rows += [
            ("operations", f"{result['gops']:.0f} GOP/s"),
            ("only reading the weights", f"{result['read_us']:.2f} µs"),
            ("only reading and unpacking them", f"{result['unpack_us']:.2f} µs"),
            ("only multiplying, from registers", f"{result['multiply_us']:.2f} µs"),
            ("share of the time that the longest of these takes", f"{result['share']:.0%} ({result['bound']})"),
            ("relative error of 8-bit activations", f"{result['relative_error']:.4f}"),
        ]
    else:
        rows += [
            ("only reading as many bytes", f"{result['read_us']:.2f} µs"),
            ("share of the time that this takes", f"{result['share']:.0%}"),
        ]
    print_table(title, ("", ""), rows)
