"""How long after its end a command word is told, by the spotter of command words in the package.

    FEWBIT_DATA=... python -m studies.speech.command_delays --out build/benchmarks [--results docs/results]

All test clips of Speech Commands (the ten words, other words, silence) are one stream without reset, 0.3 to 0.8 seconds
between them, in chunks of 0.1 seconds, as in `speech_commands.py`; the threshold is that for 12 false alarms for each
keyword-hour on the dev speakers. A delay runs from the end of a word to the end of the chunk that brings its event.

The end is where the energy of the clip falls half-way, in dB, from the loudest to the floor (`speech_span.py`), at the
known place of the clip in the stream: no network has a part in it. An arm with the end at a quarter of the way shows
how much this choice matters. In the control all scores come a second later: its delays have to be a second longer.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fewbit import Session, load
from fewbit.analysis.report import Table
from fewbit.data import Clip, SpeechCommands, Spoken, data_folder, join, speech_commands
from fewbit.decode import KeywordList, KeywordSpotter
from fewbit.shipped import find
from fewbit.streams import Network, alphabet_of, frame_seconds
from fewbit.text import Timed
from recipes.commands import RATES, stream_of
from recipes.spotted_words import GAP, shuffled, sweep, threshold_for
from studies.evidence import Study
from studies.speech.delayed_scores import DelayedScores
from studies.speech.reading_along import hear_keywords
from studies.speech.speech_span import speech_span
from studies.speech.word_delays import WordDelay, delay_quantiles, follow_keywords
from studies.speech.word_rows import write_words

ARMS = {
    "as it is set": (0.5, 0.0),
    "ends at a quarter of the energy's range": (0.25, 0.0),
    "scores 1 s later": (0.5, 1.0),
}
"""Share of the range of the energy at which a word ends, and seconds by which all scores are late."""
AS_SET, QUARTER, CONTROL = ARMS


def spans(clips: Sequence[Clip], spoken: Sequence[Spoken], rate: int, share: float) -> list[Timed]:
    """The words of single clips, and where their speech lies in the stream by its energy.

    Args:
        clips: one word each, or silence (an empty text), which is left out.
        spoken: where each clip lies, as `fewbit.data.join` says.
        rate: of the samples, in Hz.
        share: as in `speech_span`.
    """
    said = []
    for clip, place in zip(clips, spoken, strict=True):
        if clip.text:
            start, end = speech_span(clip.samples, rate, share)
            said.append(Timed(clip.text, place.start + start, place.start + end))
    return said


def delays(network: Network, data: SpeechCommands, threshold: float) -> dict[str, list[WordDelay]]:
    """When each of the ten words ended and when it was told, by arm."""
    clips = shuffled(data.test)
    samples, spoken = join(clips, data.sample_rate, np.random.default_rng(0), GAP)
    found = {}
    for arm, (share, later) in ARMS.items():
        words = KeywordList(alphabet_of(network), data.words)
        spotter = KeywordSpotter(words, frame_seconds(network), threshold=threshold)
        told = hear_keywords(Session(DelayedScores(network, later), spotter), samples)
        said = [word for word in spans(clips, spoken, data.sample_rate, share) if word.word in data.words]
        found[arm] = follow_keywords(said, told)
    return found


def study(words: dict[str, list[WordDelay]], threshold: float) -> Study:
    """The figures as a part of the page of results."""
    found = {arm: delay_quantiles(of) for arm, of in words.items()}
    usual, quarter, control = (found[arm] for arm in (AS_SET, QUARTER, CONTROL))
    return Study(
        number="",
        name="command-delays",
        title="Delays of the spotter of command words",
        claim="",
        verdict="no claim",
        findings=(
            f"A word is told {usual['to_show_p50']} s after the end of its sound by energy (95 %: "
            f"{usual['to_show_p95']} s), in chunks of 0.1 s; {quarter['to_show_p50']} s (95 %: "
            f"{quarter['to_show_p95']} s) where the end is put at a quarter, not at half, of the range of its energy.",
            f"Control: with all scores 1 s later the same measure says {control['to_show_p50']} s (95 %: "
            f"{control['to_show_p95']} s).",
        ),
        setting=(
            f"The clips of the test speakers of Speech Commands as one stream; threshold {threshold:g}, chosen on the "
            f"dev speakers for {RATES[-1]} false alarms for each keyword-hour. Delays are known for the "
            f"{usual['matched']} of {len(words[AS_SET])} words that were told within 3 s of their end; times are of "
            "sound, computing not counted. The delay of each word is in `command-delays.csv`."
        ),
        command="python -m studies.speech.command_delays --out build/benchmarks --results docs/results",
        seeds=(0,),
        tables=(
            Table(
                "Seconds from the end of a word to its event",
                ("arm", "words told", "told, p50 (s)", "p95"),
                tuple((arm, int(of["matched"]), of["to_show_p50"], of["to_show_p95"]) for arm, of in found.items()),
            ),
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--model", default="commands")
    arguments = parser.parse_args()
    folder = data_folder("speech_commands")
    if folder is None:
        raise SystemExit("needs Speech Commands under FEWBIT_DATA")
    data, network = speech_commands(folder), load(find(arguments.model))
    threshold = threshold_for(sweep(stream_of(network, data, data.dev), data.words), RATES[-1])
    words = delays(network, data, threshold)
    print(json.dumps({arm: delay_quantiles(of) for arm, of in words.items()}, indent=1))
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_words(arguments.out / "command_delays.csv", words)
    if arguments.results:
        found = study(words, threshold)
        found.save(arguments.results)
        write_words(arguments.results / f"{found.stem}.csv", words)


if __name__ == "__main__":
    main()
