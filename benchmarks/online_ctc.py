"""What online CTC costs: its recursions, native against torch; the memory of training against the length of utterances.

    python benchmarks/online_ctc.py --out build/benchmarks
    FEWBIT_DATA=... python benchmarks/online_ctc.py --an4 --updates 3000 --out build/benchmarks

The first measures (a) the time of the recursions of one window, both ways in turns, and (b) how much the peak memory of
a process grows by training on utterances of 1 to 120 seconds, online and over whole utterances, each in a process of
its own. The second trains the same network on AN4 in both ways, for as many updates (a multiple of ten), and reports
the character error rates. Results are in `online_ctc.json` and `online_ctc_an4.json`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fewbit.data.an4_speech import ALPHABET, an4
from fewbit.data.clips import Clip
from fewbit.features import LogMel
from fewbit.models import SpeechRNN
from fewbit.native import online_ctc as native
from fewbit.text import cer
from fewbit.train import CTC, CTCBatch, LabelledFrames, OnlineCTC, Part, StreamTrainer, UtteranceStreams, cosine, fit
from fewbit.train.online_ctc import recursions

sys.path.insert(0, str(Path(__file__).parent))
from machine import describe

FEATURES = LogMel(mels=40, rate=16_000)
FRAMES_A_SECOND = 100
LABELS_A_SECOND = 12
SECONDS = (1, 5, 30, 120)
SHAPES = ((1, 64, 30), (16, 64, 30), (16, 64, 120), (16, 256, 120))
"""Streams, window, labels of an utterance."""
STRIDE = 4
TENTHS = 10


def network(hidden: int = 128, layers: int = 2) -> SpeechRNN:
    torch.manual_seed(0)
    return SpeechRNN(FEATURES.mels, hidden, layers, ALPHABET.classes, kernel=8, stride=STRIDE)


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


def batch_of(utterances: Sequence[LabelledFrames]) -> CTCBatch:
    frames = [utterance.frames for utterance in utterances]
    return CTCBatch(
        nn.utils.rnn.pad_sequence(frames, batch_first=True, padding_value=FEATURES.floor),
        torch.tensor([len(part) for part in frames]),
        torch.tensor([label for utterance in utterances for label in utterance.labels]),
        torch.tensor([len(utterance.labels) for utterance in utterances]),
    )


def memory(streams: int) -> dict[str, dict[str, float]]:
    """Of both ways for all lengths, each in a fresh process."""
    found: dict[str, dict[str, float]] = {}
    for way in ("online", "whole"):
        for seconds in SECONDS:
            command = [sys.executable, __file__, "--worker", way, str(seconds), "--streams", str(streams)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.setdefault(way, {})[f"{seconds} s"] = float(done.stdout)
            print(way, seconds, "s:", done.stdout.strip(), "MiB", flush=True)
    return found


class Batches:
    """`count` batches of utterances of like length, in an order that is shuffled anew when all have been."""

    def __init__(self, utterances: Sequence[LabelledFrames], size: int, count: int) -> None:
        self.utterances = sorted(utterances, key=lambda utterance: len(utterance.frames))
        self.size, self.count, self.generator = size, count, torch.Generator().manual_seed(0)
        self.order: list[int] = []

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[CTCBatch]:
        for _ in range(self.count):
            if not self.order:
                self.order = torch.randperm(len(self.utterances) // self.size, generator=self.generator).tolist()
            place = self.order.pop() * self.size
            yield batch_of(self.utterances[place : place + self.size])


def heard(scores: Tensor) -> str:
    return ALPHABET.decode(torch.unique_consecutive(scores.argmax(-1)).tolist())


def error_rates(model: nn.Module, utterances: Sequence[LabelledFrames]) -> dict[str, float]:
    """Character error rates in %: utterance by utterance, and as one stream without any reset."""
    texts = [ALPHABET.decode(utterance.labels) for utterance in utterances]
    model.eval()
    found: dict[str, list[str]] = {"utterances": [], "stream": []}
    with torch.no_grad():
        state = None
        for frames, _ in utterances:
            whole = frames[: len(frames) // STRIDE * STRIDE]
            found["utterances"].append(heard(model(whole[None])[0][0]))
            scores, state = model(whole[None], state)
            found["stream"].append(heard(scores[0]))
    return {name: round(100 * cer(texts, said), 2) for name, said in found.items()}


def an4_training(folder: Path, updates: int, window: int, streams: int, warmup: int, rate: float) -> dict[str, Any]:
    corpus = an4(folder)

    def labelled(part: Sequence[Clip]) -> list[LabelledFrames]:
        return [LabelledFrames(torch.from_numpy(FEATURES(u.samples)), tuple(ALPHABET.encode(u.text))) for u in part]

    train, dev, test = labelled(corpus.train), labelled(corpus.dev), labelled(corpus.test)
    result: dict[str, Any] = {"updates": updates, "window": window, "streams": streams, "warmup": warmup, "rate": rate}
    for way in ("online", "whole"):
        model = network()
        norm: Any = model.get_submodule("norm")
        norm.fit(torch.cat([utterance.frames for utterance in train]))
        optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
        start = time.perf_counter()
        if way == "online":
            made = UtteranceStreams(train, streams)
            trainer = StreamTrainer(
                model,
                made,
                OnlineCTC(window),
                updates=updates,
                optimizer=optimizer,
                schedule=cosine(warmup=0.05),
                warmup=warmup,
            )
            losses = trainer.run()
            passes, infeasible = made.passes, trainer.infeasible
            final = [loss for loss in losses[-(updates // TENTHS) :] if loss == loss]
        else:
            batches = Batches(train, streams, updates // TENTHS)
            history = fit(model, batches, CTC(), epochs=TENTHS, optimizer=optimizer, schedule=cosine(warmup=0.05))
            final = history.losses[-1:]
            passes, infeasible = updates * streams / len(train), 0
        result[way] = {
            "seconds": round(time.perf_counter() - start, 1),
            "passes": round(passes, 2),
            "infeasible": infeasible,
            "loss": round(float(np.mean(final)), 4) if final else None,
            "dev": error_rates(model, dev),
            "test": error_rates(model, test),
        }
        print(way, json.dumps(result[way]), flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--an4", action="store_true", help="train on AN4, from the folder in FEWBIT_DATA")
    parser.add_argument("--updates", type=int, default=3000)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--warmup", type=int, default=600)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.worker:
        print(trained_memory(arguments.worker[0], int(arguments.worker[1]), arguments.streams))
        return
    result: dict[str, Any] = {"machine": describe(), "torch": torch.__version__, "threads": 1}
    if arguments.an4:
        folder = os.environ.get("FEWBIT_DATA")
        if not folder:
            parser.error("set FEWBIT_DATA to the folder in which an4 lies")
        if arguments.updates < 1 or arguments.updates % TENTHS:
            parser.error("--updates must be a multiple of ten")
        chosen = arguments.updates, arguments.window, arguments.streams, arguments.warmup, arguments.rate
        result |= an4_training(Path(folder) / "an4", *chosen)
    else:
        if not native.is_available():
            parser.error("the native library is missing, or has no online CTC")
        result["recursions"] = {}
        for shape in SHAPES:
            name = "{} streams, window {}, {} labels".format(*shape)
            result["recursions"][name] = recursion_times(*shape, arguments.rounds)
            print(name, json.dumps(result["recursions"][name]), flush=True)
        result["memory_mib"] = memory(arguments.streams)
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / ("online_ctc_an4.json" if arguments.an4 else "online_ctc.json")
    file.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
