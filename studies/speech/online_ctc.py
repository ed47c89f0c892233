"""Online CTC on real speech: the same network trained on AN4 over endless streams and over whole utterances.

    FEWBIT_DATA=... python -m studies.speech.online_ctc --out build/benchmarks [--results docs/results]

Arms: online, over whole utterances for as many updates, and over whole utterances until they have been heard as often
(an online update moves on by half a window only, so it hears less). Character error rates are by the best path,
utterance by utterance and as one stream that is never reset. Writes `online_ctc_an4.json`; the study holds the time and
memory of `online_ctc.py` too, where that has been run into the same folder.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fewbit.analysis.report import Table
from fewbit.data.an4_speech import ALPHABET, an4
from fewbit.data.clips import Clip
from fewbit.features import LogMel
from fewbit.models import SpeechRNN
from fewbit.text import cer
from fewbit.train import CTC, CTCBatch, LabelledFrames, OnlineCTC, StreamTrainer, UtteranceStreams, cosine, fit
from studies.evidence import Study
from studies.evidence.machine import describe
from studies.evidence.study import spread

FEATURES = LogMel(mels=40, sample_rate=16_000)
STRIDE = 4
TENTHS = 10
ONLINE, UPDATES, PASSES = ARMS = ("online", "whole, as many updates", "whole, heard as often")
UTTERANCES, STREAM = WAYS = ("utterances", "stream")


def network(seed: int = 0) -> SpeechRNN:
    torch.manual_seed(seed)
    return SpeechRNN(FEATURES.mels, 128, 2, ALPHABET.classes, kernel=8, stride=STRIDE)


def batch_of(utterances: Sequence[LabelledFrames]) -> CTCBatch:
    frames = [utterance.frames for utterance in utterances]
    return CTCBatch(
        nn.utils.rnn.pad_sequence(frames, batch_first=True, padding_value=FEATURES.floor),
        torch.tensor([len(part) for part in frames]),
        torch.tensor([label for utterance in utterances for label in utterance.labels]),
        torch.tensor([len(utterance.labels) for utterance in utterances]),
    )


class Batches:
    """`count` batches of utterances of like length, in an order that is shuffled anew when all have been."""

    def __init__(self, utterances: Sequence[LabelledFrames], size: int, count: int, seed: int) -> None:
        self.utterances = sorted(utterances, key=lambda utterance: len(utterance.frames))
        self.size, self.count, self.generator = size, count, torch.Generator().manual_seed(seed)
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
    found: dict[str, list[str]] = {UTTERANCES: [], STREAM: []}
    with torch.no_grad():
        state = None
        for frames, _ in utterances:
            whole = frames[: len(frames) // STRIDE * STRIDE]
            found[UTTERANCES].append(heard(model(whole[None])[0][0]))
            scores, state = model(whole[None], state)
            found[STREAM].append(heard(scores[0]))
    return {name: round(100 * cer(texts, said), 2) for name, said in found.items()}


def online(model: nn.Module, train: Sequence[LabelledFrames], options: argparse.Namespace, seed: int) -> dict[str, Any]:
    """Train over endless streams."""
    streams = UtteranceStreams(train, options.streams, seed=seed)
    trainer = StreamTrainer(
        model,
        streams,
        OnlineCTC(options.window),
        updates=options.updates,
        lr=options.lr,
        schedule=cosine(warmup=0.05),
        warmup=options.warmup,
    )
    losses = [loss for loss in trainer.run(progress=False)[-(options.updates // TENTHS) :] if loss == loss]
    return {"passes": streams.epochs, "loss": float(np.mean(losses)), "infeasible": trainer.infeasible}


def whole(
    model: nn.Module, train: Sequence[LabelledFrames], options: argparse.Namespace, seed: int, updates: int
) -> dict[str, Any]:
    """Train over whole utterances."""
    batches = Batches(train, options.streams, updates // TENTHS, seed)
    history = fit(
        model,
        batches,
        CTC(),
        epochs=TENTHS,
        lr=options.lr,
        schedule=cosine(warmup=0.05),
        seed=seed,
        progress=False,
    )
    return {"passes": updates * options.streams / len(train), "loss": history.losses[-1]}


def trained(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All arms with all seeds."""
    corpus = an4(folder)

    def labelled(part: Sequence[Clip]) -> list[LabelledFrames]:
        return [LabelledFrames(torch.from_numpy(FEATURES(u.samples)), tuple(ALPHABET.encode(u.text))) for u in part]

    train, dev, test = labelled(corpus.train), labelled(corpus.dev), labelled(corpus.test)
    rows: list[dict[str, Any]] = []
    for seed in options.seeds:
        updates = options.updates
        for arm in ARMS:
            model = network(seed=seed)
            norm: Any = model.get_submodule("norm")
            norm.fit(torch.cat([utterance.frames for utterance in train]))
            if arm == PASSES:
                updates = round(rows[-2]["passes"] * len(train) / options.streams / TENTHS) * TENTHS
            start = time.process_time()
            way = online(model, train, options, seed) if arm == ONLINE else whole(model, train, options, seed, updates)
            seconds = round(time.process_time() - start, 1)
            rows.append({"seed": seed, "arm": arm, "updates": updates, "cpu_seconds": seconds, **way})
            rows[-1] |= {"dev": error_rates(model, dev), "test": error_rates(model, test)}
            print(json.dumps(rows[-1]), flush=True)
    return rows


def table(rows: Sequence[dict[str, Any]]) -> Table:
    cells: list[tuple[str | int, ...]] = []
    for arm in ARMS:
        mine = [row for row in rows if row["arm"] == arm]
        rates = [spread([row[part][way] for row in mine], 1) for part in ("dev", "test") for way in WAYS]
        told = (spread([row["passes"] for row in mine], 1), spread([row["cpu_seconds"] for row in mine], 0))
        cells.append((arm, mine[0]["updates"], *told, *rates))
    columns = ("training", "updates", "passes", "CPU seconds")
    rates_of = ("dev", "dev, one stream", "test", "test, one stream")
    return Table("Letters wrong in % by the best path, no language model", (*columns, *rates_of), tuple(cells))


def save(rows: Sequence[dict[str, Any]], options: argparse.Namespace, folder: Path) -> None:
    """The results as a study."""

    def rate(arm: str, way: str) -> str:
        return spread([row["test"][way] for row in rows if row["arm"] == arm], 1)

    findings = [
        f"Letters wrong on the test speakers: {rate(ONLINE, UTTERANCES)} % trained online, "
        f"{rate(UPDATES, UTTERANCES)} % over whole utterances for as many updates, {rate(PASSES, UTTERANCES)} % "
        f"when they are heard as often; as one stream without reset {rate(ONLINE, STREAM)}, "
        f"{rate(UPDATES, STREAM)} and {rate(PASSES, STREAM)} %.",
    ]
    tables = [table(rows)]
    costs = options.out / "online_ctc.json"
    if costs.exists():
        found = json.loads(costs.read_text())
        grown = found["memory_mib"]
        lengths = list(grown["online"])
        findings.append(
            f"Training on utterances of {lengths[0]} to {lengths[-1]} makes the peak of the process grow by "
            f"{' / '.join(f'{mib:.0f}' for mib in grown['online'].values())} MiB online and by "
            f"{' / '.join(f'{mib:.0f}' for mib in grown['whole'].values())} MiB over whole utterances "
            f"({' / '.join(lengths)})."
        )
        keys = ("native_ms", "torch_ms", "times_faster")
        cells = [(name, *(f"{one[key]:g}" for key in keys)) for name, one in found["recursions"].items()]
        columns = ("a window", "native (ms)", "torch (ms)", "times as fast")
        tables.append(Table("The recursions of CTC-TR and CTC-EM, errors included", columns, tuple(cells)))
    Study(
        number="",
        name="online-ctc",
        title="Online CTC against CTC over whole utterances",
        claim="",
        verdict="no claim",
        findings=tuple(findings),
        setting=(
            f"AN4, float; a convolution with stride {STRIDE} and 2 SRU layers of 128 units, no augmentation, "
            f"{options.streams} streams or utterances an update, AdamW at {options.lr:g} along a cosine; online: "
            f"windows of {options.window} output frames, CTC-TR alone for {options.warmup} updates. One thread."
        ),
        command="python -m studies.speech.online_ctc --out build/benchmarks --results docs/results",
        seeds=tuple(options.seeds),
        tables=tuple(tables),
    ).save(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"))
    parser.add_argument("--results", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--updates", type=int, default=3000)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--warmup", type=int, default=600)
    parser.add_argument("--lr", type=float, default=5e-3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    home = os.environ.get("FEWBIT_DATA")
    if not home:
        parser.error("set FEWBIT_DATA to the folder in which an4 lies")
    if options.updates < 1 or options.updates % TENTHS:
        parser.error("--updates must be a multiple of ten")
    rows = trained(Path(home) / "an4", options)
    settings = {name: getattr(options, name) for name in ("updates", "window", "streams", "warmup", "lr")}
    options.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": describe(), "torch": torch.__version__, "threads": 1, **settings, "rows": rows}
    (options.out / "online_ctc_an4.json").write_text(json.dumps(result, indent=1) + "\n")
    if options.results:
        save(rows, options, options.results)


if __name__ == "__main__":
    main()
