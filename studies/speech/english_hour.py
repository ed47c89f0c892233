"""The recogniser of English in the package on sound that does not end: memory, time and size of the search.

    FEWBIT_DATA=... python -m studies.speech.english_hour --out build/benchmarks [--results docs/results] [--hours 1]

Sentences of AN4's test speakers in changing order, pauses of up to 2.5 seconds and noise of changing loudness.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from fewbit import Session, load
from fewbit.data import Clip, an4, data_folder, join
from fewbit.data.an4_speech import RATE
from fewbit.decode import Final, Partial, TreeBeam
from fewbit.plot import Panel, plot_curves
from fewbit.shipped import find
from fewbit.streams import choose_decoder
from studies.evidence import Study

CHUNK = RATE // 10


def resident_mb() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def long_run(network: Any, path: Path, utterances: tuple[Clip, ...], hours: float) -> dict[str, Any]:
    """Memory, time a frame and size of the search minute by minute."""
    rng = np.random.default_rng(1)
    decoder = choose_decoder(network, path)
    assert isinstance(decoder, TreeBeam)
    session = Session(network, decoder)
    minutes: list[dict[str, float]] = []
    committed, appended = "", True
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
        frames = (session.seconds - heard) / decoder.frame_seconds
        used = (time.process_time() - start) / frames * 1e6
        minutes.append({"at": session.seconds, "us_a_frame": used, "nodes": nodes, "mb": resident_mb()})
    times = [minute["us_a_frame"] for minute in minutes]
    quarter = max(1, len(minutes) // 4)
    return {
        "hours": round(session.seconds / 3600, 2),
        "mb_first": round(minutes[1]["mb"], 1),
        "mb_last": round(minutes[-1]["mb"], 1),
        "us_a_frame_first_quarter": round(float(np.median(times[:quarter])), 1),
        "us_a_frame_last_quarter": round(float(np.median(times[-quarter:])), 1),
        "most_nodes": max(minute["nodes"] for minute in minutes),
        "bound_nodes": 1 + decoder.width * 2 * (decoder.depth + decoder.prune_interval),
        "committed_only_appended": bool(appended),
        "real_time_factor": round(float(np.median(times)) * 1e-6 / decoder.frame_seconds, 4),
        "minutes": minutes,
    }


def picture(run: dict[str, Any], path: Path) -> None:
    named = (("mb", "resident memory (MB)"), ("us_a_frame", "µs a frame of 40 ms"), ("nodes", "nodes of the search"))
    panels = [
        Panel(
            title,
            {"the recogniser": {minute["at"] / 60: [minute[key]] for minute in run["minutes"]}},
            {"bound of the search": [run["bound_nodes"]]} if key == "nodes" else {},
            zero=True,
        )
        for key, title in named
    ]
    marks = range(0, round(60 * run["hours"]) + 1, 10)
    plot_curves(panels, "minutes of sound", path, "One stream without reset", marks=marks)


def study(run: dict[str, Any], file: str) -> Study:
    return Study(
        number="",
        name="english-hour",
        title="The recogniser of English for an hour",
        claim="Memory, time a frame and the tree of the search stay bounded however long the sound is.",
        verdict=(
            "holds"
            if run["mb_last"] < 1.02 * run["mb_first"]
            and run["most_nodes"] <= run["bound_nodes"]
            and run["us_a_frame_last_quarter"] < 1.2 * run["us_a_frame_first_quarter"]
            and run["committed_only_appended"]
            else "does not hold"
        ),
        findings=(
            f"{run['hours']} hours without end: resident memory {run['mb_first']} MB after the first minute and "
            f"{run['mb_last']} MB at the end, {run['us_a_frame_first_quarter']} and {run['us_a_frame_last_quarter']} "
            f"microseconds a frame of 40 ms in the first and the last quarter, at most {run['most_nodes']} nodes "
            f"(bound {run['bound_nodes']}); committed text was only appended to: {run['committed_only_appended']}.",
        ),
        setting="Sentences of AN4's test speakers, pauses and noise, in chunks of 0.1 s; one thread.",
        command="python -m studies.speech.english_hour --out build/benchmarks --results docs/results",
        seeds=(1,),
        tables=(),
        pictures=((file, "Memory, time and nodes minute by minute."),),
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
    run = long_run(load(path), path, an4(folder).test, arguments.hours)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "english_hour.json").write_text(json.dumps(run, indent=1) + "\n")
    print(json.dumps({key: value for key, value in run.items() if key != "minutes"}, indent=1))
    if arguments.results:
        picture(run, arguments.results / "english-hour.png")
        study(run, "english-hour.png").save(arguments.results)


if __name__ == "__main__":
    main()
