"""The spotter of command words on the test speakers of Speech Commands.

    python -m recipes commands --data $FEWBIT_DATA/speech_commands --seed 0 --out commands0   # and other seeds
    FEWBIT_DATA=... python -m studies.speech.speech_commands --out build/benchmarks --results docs/results commands0 ...

Each folder is one training. All test clips (the ten words, other words, silence) are joined to one stream without
reset, 0.3 to 0.8 seconds between them, and heard in chunks of 0.1 seconds: misses against false alarms, in float and
ternary, at thresholds swept on the test, and at thresholds that were chosen on the dev speakers. Then the clips one by
one: which of the twelve names has the best score. Delays are in `command_delays.py`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from fewbit import Session, load
from fewbit.analysis.report import Table
from fewbit.data import SpeechCommands, data_folder, join, speech_commands
from fewbit.decode import KeywordList, KeywordSpotter
from fewbit.models import SpeechRNN
from fewbit.plot import plot_det
from fewbit.streams import Network, alphabet_of, frame_seconds, front_end
from fewbit.tasks import load_network
from fewbit.text import Detection, miss_rate_at
from recipes.commands import RATES, floating, stream_of
from recipes.spotted_words import (
    CHUNK_SECONDS,
    GAP,
    best_scores,
    least_score,
    name_of,
    shuffled,
    sweep,
    threshold_for,
)
from studies.evidence import Study
from studies.evidence.machine import describe
from studies.evidence.study import spread

PICTURE = "commands-det.png"


def misses(network: Network, data: SpeechCommands) -> tuple[dict[str, Any], list[Detection]]:
    """Misses at so many false alarms, swept on the test, and with thresholds from the dev speakers."""
    on_dev = sweep(stream_of(network, data, data.dev), data.words)
    stream = stream_of(network, data, data.test)
    points = sweep(stream, data.words)
    at = {p.threshold: p for p in points}
    chosen = {rate: at[threshold_for(on_dev, rate)] for rate in RATES}
    found = {
        "swept": {str(rate): miss_rate_at(points, rate) for rate in RATES},
        "chosen_on_dev": {
            str(rate): {"threshold": p.threshold, "miss": p.miss_rate, "false_alarms": p.false_alarm_rate}
            for rate, p in chosen.items()
        },
        "keyword_hours": points[0].keyword_hours,
        "said": points[0].references,
    }
    return found, points


def accuracy(network: Network, data: SpeechCommands) -> dict[str, float]:
    """Clips named rightly, all and of each name; the least score of a name was chosen on the dev speakers."""
    tokens = data.alphabet.tokens
    said = [clip.text for clip in data.test]
    least = least_score(best_scores(network, data.dev), tokens, [clip.text for clip in data.dev])
    named = name_of(best_scores(network, data.test), tokens, least)
    right = np.array([a == b for a, b in zip(named, said, strict=True)])
    of_each = {text or "silence": float(right[np.array(said) == text].mean()) for text in dict.fromkeys(said)}
    return {"all": float(right.mean()), "least": least} | of_each


def live(network: Network, data: SpeechCommands, threshold: float) -> dict[str, float]:
    """Work of a session, chunk by chunk as `fewbit spot` runs it: seconds of one core for each second of sound."""
    features = front_end(network)
    samples, _ = join(shuffled(data.test), features.sample_rate, np.random.default_rng(0), GAP)
    words = KeywordList(alphabet_of(network), data.words)
    session = Session(network, KeywordSpotter(words, frame_seconds(network), threshold=threshold))
    start = time.process_time()
    for chunk in np.array_split(samples, len(samples) // int(features.sample_rate * CHUNK_SECONDS)):
        session.step(chunk)
    return {"real_time_factor": round((time.process_time() - start) / session.seconds, 5)}


def study(trainings: list[dict[str, Any]], seeds: tuple[int, ...]) -> Study:
    """The figures as a part of the page of results."""

    def over(network: str, *path: str, scale: float = 100) -> str:
        values = []
        for training in trainings:
            value: Any = training[network]
            for part in path:
                value = value[part]
            values.append(scale * value)
        return spread(values, 1)

    rows = tuple(
        (network, over(network, "accuracy", "all"), *(over(network, "misses", "swept", str(r)) for r in RATES))
        for network in ("float", "ternary")
    )
    chosen = tuple(
        (network, rate, over(network, *at, "miss"), over(network, *at, "false_alarms", scale=1))
        for network in ("float", "ternary")
        for rate in RATES
        for at in [("misses", "chosen_on_dev", str(rate))]
    )
    first = trainings[0]
    each = tuple((name, 100 * right) for name, right in first["ternary"]["accuracy"].items() if name != "least")
    run, ternary = first["live"], first["ternary"]["misses"]
    return Study(
        number="",
        name="commands",
        title="The spotter of command words in the package",
        claim="",
        verdict="no claim",
        findings=(
            f"Ternary, {first['file_bytes']:,} bytes: {over('ternary', 'misses', 'swept', '1')} % of the words missed "
            f"at 1 false alarm for each keyword-hour, {over('ternary', 'misses', 'swept', '12')} % at 12; "
            f"{over('ternary', 'accuracy', 'all')} % of the clips named rightly, of twelve names.",
            f"Float: {over('float', 'misses', 'swept', '1')} % and {over('float', 'misses', 'swept', '12')} % missed, "
            f"{over('float', 'accuracy', 'all')} % named rightly.",
            f"Network and spotter take {100 * run['real_time_factor']:.2f} % of one core, in chunks of 0.1 s.",
        ),
        setting=(
            f"{first['clips']} clips of the test speakers of Speech Commands, one stream of {first['seconds']:.0f} s; "
            f"{ternary['said']} of them are one of the ten words, {ternary['keyword_hours']:.2f} keyword-hours; other "
            "words in the test are not those of the training. Means and standard deviations over trainings with "
            f"{len(seeds)} seeds; single figures and the size are of the first."
        ),
        command="python -m studies.speech.speech_commands --out build/benchmarks --results docs/results commands0 ...",
        seeds=seeds,
        tables=(
            Table(
                "Clips named rightly, and words missed at 1 and 12 false alarms for each keyword-hour",
                ("network", "named rightly %", *(f"missed at {rate} %" for rate in RATES)),
                rows,
            ),
            Table(
                "With thresholds for 1 and 12 that were chosen on the dev speakers",
                ("network", "chosen for", "missed %", "false alarms for each keyword-hour"),
                chosen,
            ),
            Table("Clips named rightly, ternary, first seed", ("name", "%"), each),
        ),
        pictures=((PICTURE, "Misses against false alarms, first seed"),),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "trained", nargs="+", type=Path, help="folders that `python -m recipes commands` filled, one a seed"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    arguments = parser.parse_args()
    folder = data_folder("speech_commands")
    if folder is None:
        raise SystemExit("needs Speech Commands under FEWBIT_DATA")
    data = speech_commands(folder)
    trainings, seeds = [], []
    curves: dict[str, list[Detection]] = {}
    for where in arguments.trained:
        packed = load(where / "commands.fewbit")
        seeds.append(int((packed.recipe or {})["seed"]))
        networks: dict[str, Network] = {
            "float": floating(load_network(where / "commands.float.safetensors", SpeechRNN.of).model, data),
            "ternary": packed,
        }
        training: dict[str, Any] = {"file_bytes": (where / "commands.fewbit").stat().st_size, "clips": len(data.test)}
        for name, network in networks.items():
            found, points = misses(network, data)
            training[name] = {"accuracy": accuracy(network, data), "misses": found}
            training["seconds"] = 3600 * points[0].keyword_hours / len(data.words)
            curves.setdefault(name, points)
        threshold = training["ternary"]["misses"]["chosen_on_dev"][str(RATES[-1])]["threshold"]
        training["live"] = live(packed, data, threshold)
        trainings.append(training)
    arguments.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": describe(), "seeds": seeds, "trainings": trainings}
    (arguments.out / "speech_commands.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(trainings, indent=1))
    title = "Ten words of Speech Commands, test speakers"
    plot_det(curves, arguments.out / PICTURE, title)
    if arguments.results:
        study(trainings, tuple(seeds)).save(arguments.results)
        plot_det(curves, arguments.results / PICTURE, title)


if __name__ == "__main__":
    main()
