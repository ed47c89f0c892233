"""Speed of streaming: the packed network, native and on the reference, against the same network in torch, in one run.

    python -m benchmarks.stream_speed --out build/benchmarks

Streams the joined test digits in chunks of 100 ms through all, in turns, and writes `stream_speed.json`: median,
10th and 90th percentile of the time a chunk, real-time factor, and the ratio to torch (above 1: the packed one is
faster).
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np

from fewbit import Session, load, pretrained
from fewbit.data import spoken_digits
from fewbit.demo.recipe import FEATURES
from fewbit.models import SpeechRNN, TorchStream
from fewbit.streams import Network
from fewbit.text import Alphabet

CHUNK_SECONDS = 0.1


def chunk_times(network: Network, samples: np.ndarray, sample_rate: int) -> list[float]:
    """Seconds for each chunk of one pass over the samples."""
    session = Session(network)
    size = int(sample_rate * CHUNK_SECONDS)
    times = []
    for start in range(0, len(samples), size):
        begin = time.perf_counter()
        session.step(samples[start : start + size])
        times.append(time.perf_counter() - begin)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    digits = spoken_digits()
    samples, _ = digits.stream(digits.test[:60])
    program = load(pretrained("digits"))
    assert program.alphabet is not None
    alphabet = Alphabet(**program.alphabet)
    model = SpeechRNN(**program.recipe["model"])  # weights do not matter for speed
    networks: dict[str, Network] = {"torch": TorchStream(model, FEATURES, alphabet)}
    for name, target in (("reference", "reference"), ("native", "")):
        os.environ["FEWBIT_TARGET"] = target
        networks[name] = load(pretrained("digits"))
        networks[name].init_state()  # chooses the executor
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(arguments.rounds):
        for name, network in networks.items():
            times[name] += chunk_times(network, samples, digits.sample_rate)
    baseline = float(np.median(times["torch"]))
    result = {}
    for name, seconds in times.items():
        p10, median, p90 = (float(q) for q in np.quantile(seconds, [0.1, 0.5, 0.9]))
        result[name] = {
            "median_ms": round(median * 1e3, 4),
            "p10_ms": round(p10 * 1e3, 4),
            "p90_ms": round(p90 * 1e3, 4),
            "real_time_factor": round(sum(seconds) / len(seconds) / CHUNK_SECONDS, 5),
            "times_torch": round(baseline / median, 3),
        }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "stream_speed.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
