"""How long after it was said a word is shown and committed, and how many shown words are taken back.

    FEWBIT_DATA=... python -m studies.speech.english_delays --out build/benchmarks [--results docs/results]

The recogniser of English in the package on AN4's test sentences as one stream, for searches that commit later or
earlier (`depth`, the labels of the best string that stay open) and less or more often (`prune_interval`, in frames).
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fewbit import Session, load
from fewbit.analysis.report import Table
from fewbit.data import an4, data_folder, join
from fewbit.data.an4_speech import RATE
from fewbit.decode import Final, Partial, TreeBeam
from fewbit.plot import Panel, plot_curves
from fewbit.shipped import find
from fewbit.streams import choose_decoder
from fewbit.text import wer
from studies.evidence import Study

CHUNK = RATE // 10
DEPTHS, INTERVALS = (1, 2, 5, 10, 20, 50), (5, 20, 50)
TOLD = {"to_show": "shown", "to_commit": "committed"}


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


def delays(network: Any, decoder: TreeBeam, samples: Any, said: str) -> dict[str, Any]:
    """Seconds of sound between the last letter of a word and its lasting display, and its commitment.

    A word counts as shown when a space stands behind it, and as taken back when another word takes its place.
    """
    session = Session(network, decoder)
    since: dict[int, tuple[str, float]] = {}  # place of a word in its utterance: its text, and since when it is shown
    whole: dict[int, str] = {}  # the same for words with a space behind them
    stable: dict[int, float] = {}
    delay: dict[str, list[float]] = {"to_show": [], "to_commit": []}
    heard: list[str] = []
    shown = revoked = 0
    for i in range(0, len(samples) + CHUNK, CHUNK):
        events = session.step(samples[i : i + CHUNK]) if i < len(samples) else session.finish()
        for event in events:
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
                heard += words
                for place, (word, last) in enumerate(zip(words, last_letters(event), strict=True)):
                    if since.get(place, ("", 0.0))[0] == word:
                        delay["to_show"].append(since[place][1] - last)
                        delay["to_commit"].append(stable.get(place, session.seconds) - last)
                since, whole, stable = {}, {}, {}
    quantiles = {
        f"{name}_p{q}": round(float(np.percentile(values, q)), 2) + 0.0  # no -0
        for name, values in delay.items()
        for q in (50, 95)
    }
    return quantiles | {"shown": shown, "revoked": revoked, "wer": round(100 * wer([said], [" ".join(heard)]), 2)}


def sweep(path: Path, samples: Any, said: str, settings: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    network = load(path)
    usual = choose_decoder(network, path)
    assert isinstance(usual, TreeBeam)
    rows = []
    for depth, interval in dict.fromkeys([(usual.depth, usual.prune_interval), *settings]):
        found = delays(network, replace(usual, depth=depth, prune_interval=interval), samples, said)
        rows.append({"depth": depth, "prune_interval": interval, **found})
        print(json.dumps(rows[-1]))
    return rows


def study(rows: list[dict[str, Any]], picture: Path) -> Study:
    usual, rows = rows[0], sorted(rows, key=lambda row: (row["depth"], row["prune_interval"]))
    curves = {
        key: {
            f"committing every {interval} frames": {
                row["depth"]: [row[key]] for row in rows if row["prune_interval"] == interval
            }
            for interval in INTERVALS
        }
        for key in ("to_commit_p50", "wer")
    }
    panels = [
        Panel("seconds until a word is committed (median)", curves["to_commit_p50"]),
        Panel("wrong words (%)", curves["wer"]),
    ]
    title = "The recogniser of English: committing early or late"
    plot_curves(panels, "labels that stay open (depth)", picture, title, log=True)
    columns = ("depth", "prune_interval", "shown, p50 (s)", "p95", "committed, p50 (s)", "p95", "taken back", "WER %")
    keys = ("to_show_p50", "to_show_p95", "to_commit_p50", "to_commit_p95")
    cells = tuple(
        (
            row["depth"],
            row["prune_interval"],
            *(row[key] for key in keys),
            f"{row['revoked']} of {row['shown']}",
            row["wer"],
        )
        for row in rows
    )
    return Study(
        number="",
        name="english-delays",
        title="Delays of the recogniser of English",
        claim="",
        verdict="no claim",
        findings=(
            f"As it is set (depth {usual['depth']}, every {usual['prune_interval']} frames), a word is shown "
            f"{usual['to_show_p50']} s after its last letter (95 %: {usual['to_show_p95']} s), committed after "
            f"{usual['to_commit_p50']} s (95 %: {usual['to_commit_p95']} s); of {usual['shown']} words shown, "
            f"{usual['revoked']} were taken back for another. Late commitment does not delay what readers see.",
        ),
        setting="AN4's test sentences as one stream, in chunks of 0.1 s; times are of sound, computing not counted.",
        command="python -m studies.speech.english_delays --out build/benchmarks --results docs/results",
        seeds=(0,),
        tables=(Table("Delays by how late and how often text is committed", columns, cells),),
        pictures=((picture.name, "The time until a word is committed, and what committing early costs."),),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--model", default="an4")
    parser.add_argument("--split", choices=["dev", "test"], default="test", help="choose settings on dev")
    arguments = parser.parse_args()
    folder = data_folder("an4")
    if folder is None:
        raise SystemExit("needs AN4 under FEWBIT_DATA")
    samples, spoken = join(getattr(an4(folder), arguments.split), RATE, np.random.default_rng(0), (0.3, 0.8))
    settings = [(depth, interval) for interval in INTERVALS for depth in DEPTHS]
    said = " ".join(sentence.text for sentence in spoken)
    rows = sweep(find(arguments.model), samples, said, settings)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "english_delays.json").write_text(json.dumps(rows, indent=1) + "\n")
    if arguments.results:
        study(rows, arguments.results / "english-delays.png").save(arguments.results)


if __name__ == "__main__":
    main()
