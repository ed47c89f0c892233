"""Keyword spotting on the test speakers of AN4: misses against false alarms, delay, and what the spotter costs.

    FEWBIT_DATA=folder python -m studies.speech.keyword_spotting --model src/fewbit/shipped/an4.fewbit --out OUT

All test utterances are joined to one stream, with 0.3 to 0.8 seconds between them, and heard in chunks of 0.1 seconds.
The eleven words are those of a race among other spotters; one of them is not said in the test. A word heard is right if
its middle lies inside an utterance that has the word, each time that it has it.

A delay runs from the end of a word in the sound, as a forced alignment by pocketsphinx has it (`word_ends.py`), to the
end of the chunk that brings its event. In the control all scores come a second later: its delays have to be a second
longer.

Without --model the scores are made up from the text (`synthetic_speech.py`): that tries the spotter, and no network;
there is no sound then, and no delay. Writes `keyword_spotting.json` and a DET curve as `keyword_spotting.png`.
"""

import argparse
import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fewbit import Session, load
from fewbit.analysis.report import Table
from fewbit.data import Clip, an4, join
from fewbit.data.an4_speech import RATE
from fewbit.decode import KeywordList, KeywordSpotter
from fewbit.models import SpeechRNN, TorchStream
from fewbit.plot import plot_det
from fewbit.streams import Network, alphabet_of, frame_seconds
from fewbit.tasks import load_network
from fewbit.text import Alphabet, Timed, miss_rate_at
from recipes.spotted_words import GAP, HeardStream, hear, spot, sweep, threshold_for
from studies.evidence import Study, spread
from studies.evidence.machine import describe
from studies.speech.delayed_scores import DelayedScores
from studies.speech.reading_along import hear_keywords
from studies.speech.synthetic_speech import LETTERS, speak
from studies.speech.word_delays import WordDelay, delay_quantiles, follow_keywords
from studies.speech.word_rows import exactness, write_words
from studies.speech.word_times import WordTimes

WORDS = ["enter", "erase", "rubout", "eleven", "twenty", "september", "october", "yes", "thirty", "seven", "nineteen"]
THRESHOLDS = tuple(np.exp(-np.geomspace(0.01, 9, 36)).round(6).tolist())
RATES = (1, 12, 84)  # false alarms for each keyword-hour
LATER = (0.0, 1.0)
"""Seconds by which all scores are late: as they are, and in the control."""
JOININGS = range(5)
"""Of the same sentences with other pauses: the stream is short, and one false alarm moves a figure by ten points."""


def words_of(text: str) -> list[str]:
    return [word for word in text.lower().split() if word in WORDS]


def made_up(utterances: tuple[Clip, ...]) -> HeardStream:
    said: list[Timed] = []
    scores, frames, step = [], 0, 0.01
    for seed, utterance in enumerate(utterances):
        spoken, _ = speak(utterance.text.lower() + " ", seed)
        end = (frames + len(spoken)) * step
        said += [Timed(word, frames * step, end) for word in words_of(utterance.text)]
        scores.append(spoken.astype(np.float64))
        frames += len(spoken)
    return HeardStream(np.concatenate(scores), Alphabet(tuple(LETTERS)), step, tuple(said))


def delays(
    network: Network, utterances: tuple[Clip, ...], times: WordTimes, threshold: float, later: float, **options: Any
) -> list[WordDelay]:
    """When each listed word of all joinings ended and when it was told, with scores that come `later` seconds late."""
    found = []
    for seed in JOININGS:
        samples, spoken = join(utterances, RATE, np.random.default_rng(seed), GAP)
        words = KeywordList(alphabet_of(network), WORDS)
        spotter = KeywordSpotter(words, frame_seconds(network), threshold=threshold, **options)
        told = hear_keywords(Session(DelayedScores(network, later), spotter), samples)
        said = [
            Timed(word.word.lower(), word.start, word.end)
            for word in times.in_stream(utterances, spoken)
            if word.word.lower() in WORDS
        ]
        found += follow_keywords(said, told)
    return found


def cost(stream: HeardStream) -> dict[str, Any]:
    """Share of one core that the spotter takes, for lists of several lengths, in chunks of 0.1 seconds."""
    random = np.random.default_rng(0)
    letters = [token for token in stream.alphabet.tokens if token.isalpha()]
    more = {"".join(random.choice(letters, random.integers(3, 11))) for _ in range(2000)}
    chunk, found = max(1, round(0.1 / stream.frame_seconds)), {}
    short = HeardStream(stream.scores[: round(60 / stream.frame_seconds)], stream.alphabet, stream.frame_seconds, ())
    for count in (1, len(WORDS), 100, 1000):
        words = WORDS[:count] if count <= len(WORDS) else sorted(more)[:count]
        start = time.process_time()
        spot(short, words, frames=chunk)
        found[str(count)] = round(100 * (time.process_time() - start) / short.seconds, 3)
    return {"frames_a_second": round(1 / stream.frame_seconds, 2), "percent_of_a_core": found}


def open_network(path: Path) -> Network:
    """A packed network, or a float one in the format of `fewbit.tasks.save_network`."""
    if path.suffix == ".fewbit":
        return load(path)
    from recipes.english import FEATURES  # the features of a float network are not in its file

    model = load_network(path, SpeechRNN.of).model
    return TorchStream(model, FEATURES, Alphabet(tuple(" ABCDEFGHIJKLMNOPQRSTUVWXYZ")))


PICTURE = "keywords-an4.png"
ARMS = {0.0: "as it is set", 1.0: "scores 1 s later"}


def delay_rows(found: dict[str, dict[str, float]]) -> Table:
    """Delays as they are and in the control; `found` is that of `delay_quantiles` by the seconds scores are late."""
    columns = ("scores later by (s)", "words told", "told, p50 (s)", "p95")
    rows = ((float(later), int(of["matched"]), of["to_show_p50"], of["to_show_p95"]) for later, of in found.items())
    return Table("Seconds from the end of a word to its event, and the control", columns, tuple(rows))


def study(result: dict[str, Any], times: WordTimes) -> Study:
    """The figures as a part of the page of results."""
    missed = {rate: spread(of, 1) for rate, of in result["miss_percent_at_alarms_for_each_keyword_hour"].items()}
    thresholds, (delay, control) = result["threshold_at"], result["delay_at_threshold_0.5"].values()
    rows = [(f"at most {rate}", miss, spread(thresholds[rate], 2)) for rate, miss in missed.items()]
    usual = result["at_threshold_0.5"]
    rows.append((spread(usual["alarms"], 1), spread(usual["miss_percent"], 1), "0.5, as the commands have it"))
    return Study(
        number="",
        name="keywords",
        title="Keywords from a text list",
        claim="",
        verdict="no claim",
        findings=(
            f"{missed['1']} % of the words missed at 1 false alarm for each keyword-hour, {missed['12']} % at 12.",
            f"A word is told {delay['to_show_p50']} s after its end as aligned by pocketsphinx (95 %: "
            f"{delay['to_show_p95']} s), at threshold 0.5. Control: with all scores 1 s later the same measure says "
            f"{control['to_show_p50']} s (95 %: {control['to_show_p95']} s).",
            f"100 words cost {result['cost']['percent_of_a_core']['100']} % of a core.",
        ),
        setting=(
            f"{len(result['words'])} words, {result['said']} times said in {result['seconds']:.0f} s of the joined "
            f"{result['split']} sentences of AN4, scores of {result['scores']}; joined {len(JOININGS)} times with "
            "other pauses. Thresholds are swept on the sentences themselves, as in every such curve. Delays are of all "
            "joinings together; they run from the end of a word to the end of the chunk of 0.1 s that brings its "
            "event. The ends of words are from a forced alignment that knows the sound and the text only, and as exact "
            "as the last table says. The delay of each word is in `keywords.csv`."
        ),
        command="python -m studies.speech.keyword_spotting --model MODEL --out build/benchmarks --results docs/results",
        seeds=tuple(JOININGS),
        tables=(
            Table("Misses", ("false alarms for each keyword-hour", "missed %", "threshold"), tuple(rows)),
            delay_rows(result["delay_at_threshold_0.5"]),
            exactness(times),
        ),
        pictures=((PICTURE, "Misses against false alarms"),),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path, help="folder for a part of the page of results")
    parser.add_argument("--data", type=Path, default=os.environ.get("FEWBIT_DATA"))
    parser.add_argument("--model", type=Path, help="a packed network of English letters; default scores made of text")
    parser.add_argument("--split", choices=["dev", "test"], default="test", help="choose settings on dev")
    parser.add_argument("--silence", type=float, default=0.4)
    parser.add_argument("--settle", type=float, default=0.1)
    arguments = parser.parse_args()
    if arguments.results and not arguments.model:
        parser.error("a part of the page of results needs a --model: made-up scores have no delay")
    if arguments.data is None:
        parser.error("say where the data are: --data or FEWBIT_DATA")
    speech = an4(Path(arguments.data) / "an4")
    utterances = getattr(speech, arguments.split)
    network = open_network(arguments.model) if arguments.model else None
    seeds = JOININGS if network else range(1)
    streams = [hear(network, utterances, words_of, seed) if network else made_up(utterances) for seed in seeds]
    options = {"silence": arguments.silence, "settle": arguments.settle}
    swept = [sweep(stream, WORDS, THRESHOLDS, **options) for stream in streams]
    stream, points = streams[0], swept[0]
    usual = [sweep(stream, WORDS, (0.5,), **options)[0] for stream in streams]
    times = WordTimes.read()
    waits = {later: delays(network, utterances, times, 0.5, later, **options) for later in LATER} if network else {}
    result: dict[str, Any] = {
        "machine": describe(),
        "scores": arguments.model.name if arguments.model else "made of the text",
        "split": arguments.split,
        "words": WORDS,
        "seconds": round(stream.seconds, 1),
        "said": len(stream.said),
        **options,
        "miss_percent_at_alarms_for_each_keyword_hour": {
            str(rate): [round(100 * miss_rate_at(points, rate), 1) for points in swept] for rate in RATES
        },
        "threshold_at": {str(rate): [threshold_for(points, rate) for points in swept] for rate in RATES},
        "at_threshold_0.5": {
            "alarms": [point.false_alarm_rate for point in usual],
            "miss_percent": [100 * point.miss_rate for point in usual],
        },
        "delay_at_threshold_0.5": {str(later): delay_quantiles(words) for later, words in waits.items()},
        "cost": cost(stream),
        "points": [asdict(p) | {"miss": p.miss_rate, "alarms": p.false_alarm_rate} for p in points],
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "keyword_spotting.json").write_text(json.dumps(result, indent=1) + "\n")
    title = f"AN4 {arguments.split}, {len(WORDS)} words, scores {result['scores']}"
    plot_det({"keyword spotter": points}, arguments.out / "keyword_spotting.png", title)
    if arguments.results:
        study(result, times).save(arguments.results)
        write_words(arguments.results / "keywords.csv", {ARMS[later]: words for later, words in waits.items()})
        plot_det({"keyword spotter": points}, arguments.results / PICTURE, title)
    print(json.dumps({name: value for name, value in result.items() if name not in ("machine", "points")}, indent=1))


if __name__ == "__main__":
    main()
