"""What all sides get of a network, written into a folder of its own, which `benchmarks.peers.graph_runs` describes.

    python -m benchmarks.peers.graph_prepare FOLDER NETWORK FORMAT ...

`model.pt2` is the exported torch network, from which the peers make their files; `*.fewbit` are the Programs.
"""

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import parametrize

import fewbit as fb
from benchmarks.peers.graph_networks import GraphNetwork, build
from benchmarks.peers.graph_runs import States

Arrays = dict[str, NDArray[Any]]


@torch.no_grad()
def calls(network: GraphNetwork) -> tuple[list[NDArray[Any]], list[list[NDArray[Any]]]]:
    """What float torch gives at each call, and the states that it was given."""
    states = States([state.numpy() for state in network.states], network.ring)
    found, given = [], []
    for x in network.inputs:
        given.append([state.copy() for state in states.now])
        out = network.call(x, *(torch.from_numpy(state.copy()) for state in states.now))
        first, *after = out if isinstance(out, tuple) else (out,)
        states.take([state.numpy() for state in after])
        found.append(first.numpy())
    return found, given


@torch.no_grad()
def whole(model: nn.Module, network: GraphNetwork) -> NDArray[Any]:
    """What a network for whole examples gives for the inputs of the calls, in the shape of the results of calls."""
    if network.lead is None and not network.states:
        return np.stack([model(x).numpy() for x in network.inputs])
    if not network.ring:  # the states are zero at first
        found: Tensor = model(torch.cat(network.inputs, 1))
        return found[0, :, None, None].numpy()
    # The deeper layers of a stream have seen more than the newest tokens: only the first call is the same.
    assert network.lead is not None
    found = model(torch.cat([network.lead, network.inputs[0]], 1))
    return found[None, :, -1:].numpy()


def write_data(network: GraphNetwork, folder: Path) -> NDArray[Any]:
    """`data.npz` and `model.pt2`; returns what float torch gives."""
    expected, given = calls(network)
    arrays: Arrays = {"inputs": np.stack([x.numpy() for x in network.inputs]), "expected": np.stack(expected)}
    arrays |= {f"state{i}": state.numpy() for i, state in enumerate(network.states)}
    if network.states:  # to calibrate with: other inputs, and states that occur
        firsts = [x[:, -1:] for x in network.batches]
        arrays |= {f"calibration_state{i}": np.stack([each[i] for each in given]) for i in range(len(network.states))}
    else:
        firsts = network.batches
    arrays["calibration"] = np.stack([x.numpy() for x in firsts])
    if network.lead is not None:
        arrays["lead"] = network.lead.numpy()
    np.savez(folder / "data.npz", allow_pickle=False, **arrays)
    exported = torch.export.export(network.call, (network.inputs[0], *network.states), strict=False)
    torch.export.save(exported, folder / "model.pt2")
    return np.stack(expected)


def write_program(network: GraphNetwork, format: str, folder: Path) -> dict[str, Any]:
    """``FORMAT.fewbit``, and ``FORMAT.npy`` with what the fake-quantized network gives; returns what is known of it."""
    start = time.perf_counter()
    batches = [(x,) for x in network.batches]
    quantize = fb.Quantize(weights=format, activations="int8", calibration=batches)
    student = fb.compress(network.model, quantize).eval()
    with parametrize.cached():
        np.save(folder / f"{format}.npy", whole(student, network))
    program = fb.pack(student, example=batches, time=network.time)
    program.save(folder / f"{format}.fewbit")
    return {"ops": len(program.ops), "seconds": time.perf_counter() - start}


def main() -> None:
    folder, name, *formats = Path(sys.argv[1]), *sys.argv[2:]
    torch.set_num_threads(1)
    gc.set_threshold(200_000)  # packing makes many small objects, of which nearly all stay
    folder.mkdir(parents=True, exist_ok=True)
    network = build(name)
    floats = write_data(network, folder)
    found: dict[str, Any] = {"ring": network.ring, "streams": bool(network.states), "programs": {}}
    with torch.no_grad():
        same = whole(network.model, network)
    np.testing.assert_allclose(same, floats[: len(same)], atol=1e-4)  # both forms are the same function
    for format in formats:
        try:
            found["programs"][format] = write_program(network, format, folder)
        except Exception as problem:  # the other formats and the peers are measured all the same
            found["programs"][format] = {"error": f"{type(problem).__name__}: {problem}"[:300]}
    (folder / "about.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
