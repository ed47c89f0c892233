"""What online CTC costs: its recursions, native against torch; the memory of training against the length of utterances.

    python -m benchmarks.online_ctc --out build/benchmarks

(a) the time of the recursions of one window, both ways in turns, and (b) how much the peak memory of a process grows by
training on utterances of 1 to 120 seconds, online and over whole utterances, each in a process of its own. Results are
in `online_ctc.json`; `online_ctc_an4.py` trains on real speech in both ways.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fewbit.data.an4_speech import ALPHABET
from fewbit.native import online_ctc as native
from fewbit.train import CTC, LabelledFrames, OnlineCTC, Part, StreamTrainer, UtteranceStreams, fit
from fewbit.train.online_ctc import recursions
from studies.evidence.machine import describe
from studies.speech.online_ctc import FEATURES, STRIDE, batch_of, network

FRAMES_A_SECOND = 100
LABELS_A_SECOND = 12
SECONDS = (1, 5, 30, 120)
SHAPES = ((1, 64, 30), (16, 64, 30), (16, 64, 120), (16, 256, 120))
"""Streams, window, labels of an utterance."""
ROOT = Path(__file__).parent.parent


def recursion_times(streams: int, window: int, labels: int, rounds: int) -> dict[str, float]:
    """Milliseconds of the processor for a window in which half of the utterances end."""
    torch.manual_seed(0)
    objective = OnlineCTC(window)
    logits = torch.randn(streams, window, ALPHABET.classes)
    said = tuple(torch.randint(1, ALPHABET.classes, (labels,)).tolist())
    before = torch.randn(streams, 2 * labels + 1).double().log_softmax(1)
    parts = [Part(stream, 0, window, False, stream % 2 == 0, said) for stream in range(streams)]
    jobs, flat, _ = objective._plan(logits, parts, before, True)
    times: dict[str, list[float]] = {"native": [], "torch": []}
    results = {}
    for _ in range(rounds + 1):
        for way, measured in times.items():
            start = time.process_time()
            if way == "native":
                results[way] = native.online_ctc(logits.numpy(), jobs, flat, before.numpy(), True)[0]
            else:
                results[way] = recursions(logits, jobs, flat, before, True)[0].numpy()
            measured.append(time.process_time() - start)
    ratios = np.array(times["torch"][1:]) / np.array(times["native"][1:])
    return {
        **{f"{way}_ms": round(float(np.median(measured[1:])) * 1e3, 3) for way, measured in times.items()},
        "times_faster": round(float(np.median(ratios)), 1),
        "difference": float(f"{np.abs(results['native'] - results['torch']).max():.2g}"),
    }


def made_up(seconds: int, count: int) -> list[LabelledFrames]:
    torch.manual_seed(0)
    frames = seconds * FRAMES_A_SECOND
    labels = torch.randint(1, ALPHABET.classes, (count, seconds * LABELS_A_SECOND // 2)).tolist()
    return [LabelledFrames(torch.randn(frames, FEATURES.mels), tuple(row)) for row in labels]


def trained_memory(way: str, seconds: int, streams: int) -> float:
    """MiB by which the peak of this process grows when it trains; the data are there before, a short training too."""
    data, short = made_up(seconds, streams), made_up(1, streams)

    def train(utterances: Sequence[LabelledFrames]) -> None:
        model = network()
        if way == "online":
            updates = 3 * len(utterances[0].frames) // (32 * STRIDE) + 3
            StreamTrainer(model, UtteranceStreams(utterances, streams), updates=updates).run(progress=False)
        else:
            fit(model, [batch_of(utterances)], CTC(), epochs=2, progress=False)

    train(short)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    train(data)
    return round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) / 1024, 1)


def memory(streams: int) -> dict[str, dict[str, float]]:
    """Of both ways for all lengths, each in a fresh process."""
    found: dict[str, dict[str, float]] = {}
    for way in ("online", "whole"):
        for seconds in SECONDS:
            command = [
                sys.executable,
                "-m",
                "benchmarks.online_ctc",
                "--worker",
                way,
                str(seconds),
                "--streams",
                str(streams),
            ]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            found.setdefault(way, {})[f"{seconds} s"] = float(done.stdout)
            print(way, seconds, "s:", done.stdout.strip(), "MiB", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.worker:
        print(trained_memory(arguments.worker[0], int(arguments.worker[1]), arguments.streams))
        return
    result: dict[str, Any] = {"machine": describe(), "torch": torch.__version__, "threads": 1}
    if not native.is_available():
        parser.error("the native library is missing, or has no online CTC")
    result["recursions"] = {}
    for shape in SHAPES:
        name = "{} streams, window {}, {} labels".format(*shape)
        result["recursions"][name] = recursion_times(*shape, arguments.rounds)
        print(name, json.dumps(result["recursions"][name]), flush=True)
    result["memory_mib"] = memory(arguments.streams)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "online_ctc.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
