"""One row of `graph_networks`: a network float, fake-quantized and packed, on the same inputs."""

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from traceback import extract_tb
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils import parametrize

from fewbit.lower import pack
from fewbit.passes import Quantize, compress
from fewbit.program import Program
from studies.networks.agreement import Rows, agreement, rows_of
from studies.networks.network import Inputs, Network, Predict
from studies.networks.noise import noise


def by_torch(model: nn.Module) -> Predict:
    """Predictions of a torch network; quantized weights are computed once in a block of `parametrize.cached`."""

    def predict(inputs: Inputs) -> NDArray[np.float64]:
        with torch.no_grad():
            return np.asarray(model(*inputs)[0].numpy(), np.float64)

    return predict


def by_program(program: Program) -> Predict:
    """Predictions of a Program, which takes arrays without a batch axis."""
    run: Callable[..., NDArray[np.float64]] = program.__call__

    def predict(inputs: Inputs) -> NDArray[np.float64]:
        return run(*(tensor[0].numpy() for tensor in inputs))

    return predict


class Judged:
    """A network with what does not depend on how it is compressed, computed once."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.labels = None if network.labels is None else np.concatenate([y.ravel() for y in network.labels])
        parameters = {id(p): p.numel() for p in network.model.parameters()}
        self.float_bytes = 4 * sum(parameters.values())

    def outputs(self, predict: Predict) -> Rows:
        """All decisions on the held-out examples."""
        return rows_of([predict(inputs) for inputs in self.network.examples], self.network.output)

    def compare(self, reference: Rows, other: Rows) -> dict[str, float | None]:
        """Agreement in the numbers that suit the network."""
        return agreement(reference, other, self.network.output, self.labels)

    @cached_property
    def measured(self) -> dict[str, float]:
        """The measure of the float network."""
        return self.network.measure(by_torch(self.network.model))

    @cached_property
    def reference(self) -> Rows:
        """The outputs of the float network."""
        return self.outputs(by_torch(self.network.model))


def judge(judged: Judged, weights: str, activations: str, rounds: int) -> dict[str, Any]:
    """Compress, pack and run; a step that fails leaves ``error`` in the row, after what came before it."""
    network = judged.network
    row: dict[str, Any] = {"network": network.name, "weights": weights, "activations": activations}
    row |= {"output": network.output, "float_bytes": judged.float_bytes, "measure": {}, "agreement": {}, "seconds": {}}
    step = "float"
    try:
        row["measure"]["float"] = judged.measured
        step, start = "compress", time.perf_counter()
        student = compress(network.model, Quantize(weights, activations, calibration=network.batches)).eval()
        row["seconds"][step] = time.perf_counter() - start
        step = "fake"
        with parametrize.cached():
            fake = judged.outputs(by_torch(student))
            row["measure"]["fake"] = network.measure(by_torch(student))
            with noise(student):
                row["agreement"]["fake_noise"] = judged.compare(fake, judged.outputs(by_torch(student)))
        row["agreement"]["float_fake"] = judged.compare(judged.reference, fake)
        step, start = "pack", time.perf_counter()
        program = pack(student, example=network.batches, time="auto" if network.time is None else network.time)
        row["seconds"][step] = time.perf_counter() - start
        row |= {"ops": len(program.ops), "file_bytes": len(program.to_bytes())}
        row["executor"] = type(program.executor).__name__  # a time of the reference is not one of the native runtime
        step = "program"
        row["agreement"]["fake_program"] = judged.compare(fake, judged.outputs(by_program(program)))
        row["measure"]["program"] = network.measure(by_program(program))
        row["time"] = times(by_program(program), by_torch(network.model), network.examples[0], rounds)
    except Exception as error:  # whatever it is, the other networks count all the same
        row["error"] = f"{step}: {type(error).__name__}: {error}"
        row["raised_at"] = [f"{Path(at.filename).name}:{at.lineno}" for at in extract_tb(error.__traceback__)]
    return row


def times(native: Predict, float_torch: Predict, inputs: Inputs, rounds: int) -> dict[str, float]:
    """Median milliseconds of one example, taking turns; one more round goes before and does not count."""
    spent: dict[str, list[float]] = {"native_ms": [], "torch_ms": []}
    for _ in range(rounds + 1):
        for name, predict in (("native_ms", native), ("torch_ms", float_torch)):
            start = time.perf_counter()
            predict(inputs)
            spent[name].append(1e3 * (time.perf_counter() - start))
    medians = {name: float(np.median(each[1:])) for name, each in spent.items()}
    return medians | {"native_over_torch": medians["native_ms"] / medians["torch_ms"]}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows for people, 80 columns wide; below each, the measures of its task or what went wrong."""
    lines = [
        f"{'network':<11}{'weights':<12}{'ops':>4}{'bytes':>7}{'float-fake':>11}{'noise':>8}{'fake-int':>9}"
        f"{'same':>7}{'near':>5}{'time':>6}"
    ]
    for row in rows:
        pairs = row.get("agreement", {})
        distances = [_distance(pairs.get(pair, {})) for pair in ("float_fake", "fake_noise", "fake_program")]
        size = f"{row['file_bytes'] / row['float_bytes']:.1%}" if "file_bytes" in row else "-"
        top = pairs.get("fake_program", {})
        same = "-" if top.get("same_clear") is None else f"{top['same_clear']:.1%}"
        near = f"{top['near_ties'] / top['decisions']:.0%}" if "decisions" in top else "-"
        native = row.get("executor") == "Native"
        ratio = f"{row['time']['native_over_torch']:.2f}" if "time" in row and native else "-"
        lines.append(
            f"{row['network']:<11}{row.get('weights', ''):<12}{row.get('ops', '-'):>4}{size:>7}"
            f"{distances[0]:>11}{distances[1]:>8}{distances[2]:>9}{same:>7}{near:>5}{ratio:>6}"
        )
        measures = row.get("measure", {})
        for name in measures.get("float", {}):
            values = (f"{kind} {found[name]:.4f}" for kind, found in measures.items())
            lines.append(f"    {name:<20}" + "   ".join(values))
        if "time" in row and not native:
            lines.append("    no native runtime: the NumPy reference ran, and no time is given")
        if "error" in row:
            lines.append(f"    {row['error']}"[:80])
    return "\n".join(lines)


def _distance(found: dict[str, Any]) -> str:
    value = found.get("kl", found.get("cosine_distance"))
    return "-" if value is None else f"{value:.2g}"
