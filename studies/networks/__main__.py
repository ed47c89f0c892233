"""Networks of others, trained by others, as integer Programs: how far they agree, what they cost, how fast they are.

    FEWBIT_DATA=... python -m studies.networks --out build/benchmarks [--only NAME ...] [--weights SPEC ...]

For each network of `networks` and each kind of weights: the float network, its fake-quantized copy and the Program of
that are run on held-out inputs. Writes `graph_networks.json` with a row for each pair: the measure of the task of all
three, agreement of the float with the fake-quantized network (what quantization costs) beside that of the
fake-quantized network with the Program (what integer arithmetic costs), bytes of the file, and the time of one example
natively and by float torch with one thread, taking turns. Where a step fails, its row says so, and the run goes on.
Wheels are fetched into `build/wheels` on first use; MiniLM needs `networks/requirements.txt`.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from studies.evidence.machine import describe
from studies.networks.judging import Judged, judge, table
from studies.networks.network import Network

TIMM = ("resnet18", "mobilenetv2", "vit")
NAMES = ("g2p", "silero", "resemblyzer", "minilm", *TIMM)


def loader(name: str) -> Callable[[], Network]:
    """What loads a network of a name; only its own module is imported."""
    if name in TIMM:
        return partial(import_module("studies.networks.timm_nets").load, name)
    load: Callable[[], Network] = import_module(f"studies.networks.{name}").load
    return load


def rows(names: list[str], weights: list[str], activations: str, rounds: int) -> list[dict[str, Any]]:
    """A row for each network and kind of weights; a network that does not load gets one row."""
    found: list[dict[str, Any]] = []
    for name in names:
        print(f"{name} ...", flush=True)
        try:
            judged = Judged(loader(name)())
        except Exception as error:
            found.append({"network": name, "error": f"load: {type(error).__name__}: {error}"})
            continue
        for spec in weights:
            start = time.perf_counter()
            found.append(judge(judged, spec, activations, rounds))
            print(table(found[-1:]), f"[{time.perf_counter() - start:.0f} s]", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES), metavar="NAME")
    parser.add_argument("--weights", nargs="+", default=["int8", "int4", "ternary"], metavar="SPEC")
    parser.add_argument("--activations", default="int8", metavar="SPEC")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    if arguments.rounds < 5:
        parser.error("--rounds must be at least 5")
    torch.set_num_threads(1)
    found = rows(arguments.only, arguments.weights, arguments.activations, arguments.rounds)
    result = {"machine": describe(), "torch": torch.__version__, "threads": 1, "rows": found}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "graph_networks.json").write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
    print("\n" + table(found))


if __name__ == "__main__":
    main()
