"""``fewbit bench``: how fast products, recurrent networks and packed files run on this machine."""

from typing import Annotated, Any

import typer

from fewbit.cli.output import print_json, print_table, say
from fewbit.cli.packed import Packed
from fewbit.shipped import find

app = typer.Typer(help="Measure the native runtime on this machine.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads that share large products.")]
Target = Annotated[str | None, typer.Option(help="Instruction set; default the best of this machine.")]
Format = Annotated[str, typer.Option(help="Format of the weights: ternary, binary, int2 to int8.")]
Seconds = Annotated[float, typer.Option(min=0.01, help="How long to measure.")]


@app.command()
def matmul(
    format: Format = "ternary",
    shape: Annotated[str, typer.Option(help="Rows x columns of the weights.")] = "1024x1024",
    rows: Annotated[int, typer.Option(min=1, help="Frames of activations in one product.")] = 1,
    threads: Threads = 1,
    target: Target = None,
    seconds: Seconds = 0.5,
    json: Json = False,
) -> None:
    """Time one product: floats in and out, activations quantized to 8 bits within."""
    from fewbit.speed import time_product

    sides = shape.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise typer.BadParameter(f"{shape!r} is no shape; wanted rows x columns such as 1024x1024")
    result = time_product(format, int(sides[0]), int(sides[1]), rows, threads, target, seconds)
    _print(result, json, f"{format} weights {shape}, {rows} frames")


@app.command()
def rnn(
    cell: Annotated[str, typer.Option(help="sru, qrnn, lstm or gru.")] = "sru",
    format: Format = "ternary",
    hidden: Annotated[int, typer.Option(min=1, help="Units of a layer.")] = 512,
    layers: Annotated[int, typer.Option(min=1)] = 1,
    steps: Annotated[int, typer.Option(min=1, help="Frames in one call.")] = 16,
    threads: Threads = 1,
    target: Target = None,
    seconds: Seconds = 0.5,
    json: Json = False,
) -> None:
    """Time a recurrent network with random weights, called for some frames at a time."""
    from fewbit.speed import time_network

    result = time_network(cell, hidden, layers, steps, format, threads, target, seconds)
    _print(result, json, f"{layers} x {hidden} {cell.upper()}, {format} weights, {steps} frames a call")


@app.command()
def file(
    path: Packed,
    most: Annotated[int, typer.Option(min=1, help="Longest block of frames: the latency that is allowed.")] = 64,
    threads: Threads = 1,
    target: Target = None,
    seconds: Seconds = 0.3,
    json: Json = False,
) -> None:
    """Time a packed network for blocks of 1, 2, 4 ... frames, and say how long a block should be."""
    from fewbit.program import load
    from fewbit.speed import choose_block, time_program

    program = load(find(path))
    choice = choose_block(program, most, threads=threads, target=target, seconds=seconds)
    result = time_program(program, choice.frames, threads, target, seconds)
    if json:
        print_json({"file": path, "block": choice.frames, "step_us_by_block": choice.step_us, **result})
        return
    rows = [(str(frames), f"{time:.2f}", f"{choice.step_us[1] / time:.2f}") for frames, time in choice.step_us.items()]
    print_table(f"{path}: time of a frame", ("frames a block", "microseconds a frame", "times as fast as 1"), rows)
    say(f"Blocks of {choice.frames} frames are as good as any up to {most}.")
    _print(result, json, f"{path}, {choice.frames} frames a call")


def _print(result: dict[str, Any], json: bool, title: str) -> None:
    if json:
        print_json(result)
        return
    rows = [
        ("a call, median", f"{result['median_us']:.2f} µs"),
        ("10 % to 90 %", f"{result['p10_us']:.2f} to {result['p90_us']:.2f} µs"),
    ]
    if "step_us" in result:
        rows.append(("a frame", f"{result['step_us']:.2f} µs"))
    rows += [
        ("target", f"{result['target']}, threads {result['threads']}"),
        ("weights in memory", f"{result['weight_bytes']:,} bytes"),
        ("weights read", f"{result['gb_per_second']:.1f} GB/s"),
        ("of the rate at which this machine reads", f"{result['memory_ceiling']:.0%}"),
    ]
    if "gops" in result:
        rows += [
            ("operations", f"{result['gops']:.0f} GOP/s"),
            ("of the same kernel in the first cache", f"{result['arithmetic_ceiling']:.0%}"),
            ("relative error of 8-bit activations", f"{result['relative_error']:.4f}"),
        ]
    print_table(title, ("", ""), rows)
