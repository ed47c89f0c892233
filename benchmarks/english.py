"""The recogniser of English in the package on AN4's test speakers, as a person would use it.

    FEWBIT_DATA=... python benchmarks/english.py --out build/benchmarks [--results docs/results] [--hours 1]

Word and character error rates with each language model, sentence by sentence and as one endless stream without reset;
an hour-long stream (sentences, silence and noise): memory, time a frame and nodes of the search; and how long after it
was said a word is shown and committed, and how many shown words are taken back.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from fewbit import Session, load
from fewbit.analysis.report import Table
from fewbit.data import Clip, an4, data_folder, join
from fewbit.data.an4_speech import RATE
from fewbit.decode import Final, Partial, TreeBeam
from fewbit.shipped import find
from fewbit.streams import KINDS, choose_decoder
from fewbit.studies import Study
from fewbit.text import cer, wer
from fewbit.tour.english_language import measure

CHUNK = RATE // 10
GAP = 0.3, 0.8  # seconds between two sentences


def resident_mb() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def endless(network: Any, path: Path, samples: Any, said: str) -> dict[str, tuple[float, float]]:
    """Error rates of one stream without reset, for each kind of language model."""
    found = {}
    for kind in KINDS:
        session = Session(network, choose_decoder(network, path, kind))
        events = [event for i in range(0, len(samples), CHUNK) for event in session.step(samples[i : i + CHUNK])]
        text = " ".join(event.text for event in [*events, *session.finish()] if isinstance(event, Final))
        found[kind] = (round(wer([said], [text]), 4), round(cer([said], [text]), 4))
    return found


def long_run(network: Any, path: Path, utterances: tuple[Clip, ...], hours: float) -> dict[str, Any]:
    """Memory, time a frame and size of the search minute by minute, with sound that never ends."""
    rng = np.random.default_rng(1)
    decoder = choose_decoder(network, path)
    assert isinstance(decoder, TreeBeam)
    session = Session(network, decoder)
    minutes: list[dict[str, float]] = []
    committed, appended = "", True
    frame_seconds = decoder.frame_seconds
    while session.seconds < hours * 3600:
        picked = [utterances[i] for i in rng.permutation(len(utterances))[:15]]
        samples, _ = join(picked, RATE, rng, (0.2, 2.5))
        loud = 10 ** rng.uniform(-4, -2)
        samples = samples + (rng.standard_normal(len(samples)) * loud).astype(np.float32)
        start, heard, nodes = time.process_time(), session.seconds, 0
        for i in range(0, len(samples), CHUNK):
            for event in session.step(samples[i : i + CHUNK]):
                if isinstance(event, Partial):
                    shown = event.text[: event.stable]
                    appended &= shown.startswith(committed) or (committed.startswith(shown) and not shown)
                    committed = shown
                elif isinstance(event, Final):
                    appended &= event.text.startswith(committed.strip())
                    committed = ""
            nodes = max(nodes, decoder.nodes(session._decoder_state))  # type: ignore[arg-type]
        frames = (session.seconds - heard) / frame_seconds
        used = (time.process_time() - start) / frames * 1e6
        minutes.append({"at": session.seconds, "us_a_frame": used, "nodes": nodes, "mb": resident_mb()})
    first, last = minutes[1], minutes[-1]
    bound = 1 + decoder.width * 2 * (decoder.depth + decoder.every)
    return {
        "hours": round(session.seconds / 3600, 2),
        "mb_first": round(first["mb"], 1),
        "mb_last": round(last["mb"], 1),
        "us_a_frame_first_quarter": round(float(np.median([m["us_a_frame"] for m in minutes[: len(minutes) // 4]])), 1),
        "us_a_frame_last_quarter": round(float(np.median([m["us_a_frame"] for m in minutes[-len(minutes) // 4 :]])), 1),
        "most_nodes": max(m["nodes"] for m in minutes),
        "bound_nodes": bound,
        "committed_only_appended": bool(appended),
        "real_time_factor": round(float(np.median([m["us_a_frame"] for m in minutes])) * 1e-6 / frame_seconds, 4),
        "minutes": minutes,
    }


def last_letters(event: Final) -> list[float]:
    """When the last letter of each word sounded."""
    times: list[float] = []
    inside = False
    for label in event.labels:
        if label.name == " ":
            inside = False
        elif inside:
            times[-1] = label.end
        else:
            times.append(label.end)
            inside = True
    return times


def delays(network: Any, path: Path, samples: Any) -> dict[str, Any]:
    """Seconds of sound between the last letter of a word and its lasting display, and its commitment."""
    session = Session(network, choose_decoder(network, path))
    since: dict[int, tuple[str, float]] = {}  # place of a word in its utterance: its text, and since when it is shown
    whole: dict[int, str] = {}  # the same for words with a space behind them
    stable: dict[int, float] = {}
    to_show, to_commit = [], []
    shown = revoked = 0
    for i in range(0, len(samples), CHUNK):
        for event in session.step(samples[i : i + CHUNK]):
            if isinstance(event, Partial):
                words = event.text.split()
                for place, word in enumerate(words):
                    if since.get(place, ("", 0.0))[0] != word:
                        since[place] = (word, session.seconds)
                for place, word in enumerate(words if event.text.endswith(" ") else words[:-1]):
                    shown += whole.get(place) != word
                    revoked += place in whole and whole[place] != word
                    whole[place] = word
                for place in range(len(event.text[: event.stable].split()) - 1):
                    stable.setdefault(place, session.seconds)
            elif isinstance(event, Final):
                words = event.text.split()
                for place, (word, last) in enumerate(zip(words, last_letters(event), strict=True)):
                    if since.get(place, ("", 0.0))[0] == word:
                        to_show.append(since[place][1] - last)
                        to_commit.append(stable.get(place, session.seconds) - last)
                since, whole, stable = {}, {}, {}

    def quantiles(values: list[float]) -> dict[str, float]:
        return {f"p{q}": round(float(np.percentile(values, q)), 3) for q in (50, 95)} if values else {}

    return {"to_show": quantiles(to_show), "to_commit": quantiles(to_commit), "shown": shown, "revoked": revoked}


def study(result: dict[str, Any]) -> Study:
    rates = result["error_rates"]
    rows = tuple(
        (where, kind, 100 * word, 100 * character)
        for where, kinds in rates.items()
        for kind, (word, character) in kinds.items()
    )
    run, delay = result["long_run"], result["delays"]
    best = rates["sentence by sentence"][KINDS[-1]][0]
    stream = rates["one endless stream"][KINDS[-1]][0]
    return Study(
        number="",
        name="english",
        title="The recogniser of English in the package",
        claim="",
        verdict="no claim",
        findings=(
            f"Ternary, {result['file_bytes']:,} bytes: {best:.1%} of the words wrong sentence by sentence and "
            f"{stream:.1%} in one endless stream without reset, with characters and words.",
            f"{run['hours']} hours without end: resident memory {run['mb_first']} MB after the first minute and "
            f"{run['mb_last']} MB at the end, {run['us_a_frame_first_quarter']} and {run['us_a_frame_last_quarter']} "
            f"microseconds a frame of 40 ms in the first and the last quarter, at most {run['most_nodes']} nodes "
            f"(bound {run['bound_nodes']}); committed text was only appended to: {run['committed_only_appended']}.",
            f"A word is shown {delay['to_show']['p50']} s after its last letter (95 %: {delay['to_show']['p95']} s), "
            f"committed after {delay['to_commit']['p50']} s (95 %: {delay['to_commit']['p95']} s); of {delay['shown']} "
            f"words shown, {delay['revoked']} were taken back for another.",
        ),
        setting=(
            "130 sentences of 10 speakers of AN4 who were never trained on; weights of the language models were tuned "
            "on 7 training speakers held out. Sound in chunks of 0.1 s; one thread."
        ),
        command="python benchmarks/english.py --out build/benchmarks --results docs/results",
        seeds=(0,),
        tables=(Table("Error rates", ("", "language model", "WER %", "CER %"), rows),),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--model", default="an4")
    parser.add_argument("--hours", type=float, default=1.0)
    arguments = parser.parse_args()
    folder = data_folder("an4")
    if folder is None:
        raise SystemExit("needs AN4 under FEWBIT_DATA")
    path = find(arguments.model)
    network, test = load(path), an4(folder).test
    samples, spoken = join(test, RATE, np.random.default_rng(0), GAP)
    said = " ".join(sentence.text for sentence in spoken)
    result: dict[str, Any] = {
        "file_bytes": path.stat().st_size,
        "error_rates": {
            "sentence by sentence": measure(network, path, test),
            "one endless stream": endless(network, path, samples, said),
        },
        "delays": delays(network, path, samples),
        "long_run": long_run(network, path, test, arguments.hours),
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "english.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({**result, "long_run": {k: v for k, v in result["long_run"].items() if k != "minutes"}}, indent=1))
    if arguments.results:
        study(result).save(arguments.results)


if __name__ == "__main__":
    main()
