"""What runs a network from the files in its folder; each library is imported by its own `start`.

A case is ``LIBRARY KIND``, such as ``onnxruntime static``. `start` imports the library and returns what loads the
network, so that memory can be measured between the two.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.graph_runs import Array, Data, Runner

Load = Callable[[], Runner]


def fewbit(folder: Path, kind: str, threads: int, data: Data) -> Load:
    """A Program: of a stream `step` with the next frames, else a call with a whole example."""
    from fewbit.program import load
    from fewbit.program.native_run import Native

    class Fewbit(Runner):
        def __init__(self) -> None:
            self.program = load(folder / f"{kind}.fewbit")
            self.program.__dict__["executor"] = Native(self.program.ops, threads=threads)
            assert self.program.signature is not None
            self.port = self.program.signature.inputs[0]
            self.streams = data.about["streams"]
            if self.streams:
                self.began: Any = self.program.init_state()
                if data.lead is not None:
                    self.began = self.program.step(self.port.frames(data.lead[0]), self.began)[1]
            super().__init__(data)

        def reset(self) -> None:
            super().reset()
            if self.streams:
                self.state = self.began

        def call(self, x: Array, states: Sequence[Array]) -> Sequence[Array]:
            if not self.streams:
                return [self.program(x[0])]
            y, self.state = self.program.step(self.port.frames(x[0]), self.state)
            return [y / float(1 << self.program.fraction_bits)]

    return Fewbit


def torch(folder: Path, kind: str, threads: int, data: Data) -> Load:
    """The torch network itself, not traced; always with one thread, as the common baseline."""
    import torch as library

    from benchmarks.peers.graph_networks import build

    library.set_num_threads(1)

    class Torch(Runner):
        def __init__(self) -> None:
            super().__init__(data)
            self.network = build(folder.name).call

        def call(self, x: Array, states: Sequence[Array]) -> Sequence[Array]:
            with library.inference_mode():
                out = self.network(library.from_numpy(x), *map(library.from_numpy, states))
            return [y.numpy() for y in (out if isinstance(out, tuple) else (out,))]

    return Torch


def onnxruntime(folder: Path, kind: str, threads: int, data: Data) -> Load:
    import onnxruntime as library  # type: ignore[import-not-found,unused-ignore]

    options = library.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3

    class OnnxRuntime(Runner):
        def __init__(self) -> None:
            super().__init__(data)
            path = str(folder / f"{kind}.onnx")
            self.session = library.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            self.names = [each.name for each in self.session.get_inputs()]

        def call(self, x: Array, states: Sequence[Array]) -> Sequence[Array]:
            found: list[Array] = self.session.run(None, dict(zip(self.names, (x, *states), strict=True)))
            return found

    return OnnxRuntime


def openvino(folder: Path, kind: str, threads: int, data: Data) -> Load:
    """The ONNX files; precision stays float32 where nothing is quantized."""
    import openvino as library  # type: ignore[import-not-found,unused-ignore]

    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    settings |= {"INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False}

    class OpenVino(Runner):
        def __init__(self) -> None:
            super().__init__(data)
            compiled = library.Core().compile_model(str(folder / f"{kind}.onnx"), "CPU", settings)
            self.request, self.count = compiled.create_infer_request(), len(compiled.outputs)

        def call(self, x: Array, states: Sequence[Array]) -> Sequence[Array]:
            found = self.request.infer([x, *states], share_inputs=True)
            return [found[i] for i in range(self.count)]

    return OpenVino


def litert(folder: Path, kind: str, threads: int, data: Data) -> Load:
    """LiteRT with XNNPACK, which it uses by itself."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-not-found,unused-ignore]

    class LiteRt(Runner):
        def __init__(self) -> None:
            super().__init__(data)
            self.interpreter = Interpreter(str(folder / f"{kind}.tflite"), num_threads=threads)
            self.signature = self.interpreter.get_signature_runner()
            details = self.signature.get_input_details()
            self.names = sorted(details, key=_number)
            data.inputs = [
                x.astype(details[self.names[0]]["dtype"], copy=False) for x in data.inputs
            ]  # symbols are int32 in LiteRT
            self.outputs_in_order = sorted(self.signature.get_output_details(), key=_number)

        def call(self, x: Array, states: Sequence[Array]) -> Sequence[Array]:
            found = self.signature(**dict(zip(self.names, (x, *states), strict=True)))
            return [found[name] for name in self.outputs_in_order]

    return LiteRt


def _number(name: str) -> int:
    return int(name.rpartition("_")[2])


LIBRARIES: dict[str, Callable[[Path, str, int, Data], Load]] = {
    "fewbit": fewbit,
    "torch": torch,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "litert": litert,
}


def start(case: str, folder: Path, threads: int) -> tuple[Load, Data]:
    """Import the library of a case and read the data; then the network can be loaded."""
    name, kind = case.split()
    data = Data(folder)
    return LIBRARIES[name](folder, kind, threads, data), data
