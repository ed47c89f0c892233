"""How long after it was said a word is shown and committed, and how many shown words are taken back.

    FEWBIT_DATA=... python -m studies.speech.english_delays --out build/benchmarks [--results docs/results]

The recogniser of English in the package on AN4's test sentences as one stream, for searches that commit later or
earlier (`depth`, the labels of the best string that stay open) and less or more often (`prune_interval`, in frames).

A delay runs from the end of a word in the sound, as a forced alignment by pocketsphinx has it (`word_ends.py`), to the
end of the chunk after which the word is on display for good. It counts for words that are right. In the control all
scores of the network come a second later: its delays have to be a second longer.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fewbit import Session, load
from fewbit.analysis.report import Table
from fewbit.data import an4, data_folder, join
from fewbit.data.an4_speech import RATE
from fewbit.decode import TreeBeam
from fewbit.plot import Panel, plot_curves
from fewbit.shipped import find
from fewbit.streams import Network, choose_decoder
from fewbit.text import Timed, wer
from studies.evidence import Study
from studies.speech.delayed_scores import DelayedScores
from studies.speech.reading_along import read_along
from studies.speech.word_delays import WordDelay, delay_quantiles, follow_text
from studies.speech.word_rows import exactness, write_words
from studies.speech.word_times import WordTimes

DEPTHS, INTERVALS = (1, 2, 5, 10, 20, 50), (5, 20, 50)
LATER = 1.0
"""Seconds by which all scores are late in the control."""
AS_SET = "as it is set"
Row = dict[str, Any]


def measure(
    network: Network, decoder: TreeBeam, samples: NDArray[np.float32], said: Sequence[Timed]
) -> tuple[list[WordDelay], Row]:
    """The delay of each word, and the figures of a setting: quantiles, words taken back, wrong words in percent."""
    reading = read_along(Session(network, decoder), samples)
    delays = follow_text(said, reading.words)
    texts = [[" ".join(word.word for word in words)] for words in (said, reading.words)]
    counts = {"shown": reading.shown, "revoked": reading.revoked, "wer": round(100 * wer(*texts), 2)}
    return delays, delay_quantiles(delays) | counts


def sweep(
    path: Path, samples: NDArray[np.float32], said: Sequence[Timed], settings: Sequence[tuple[int, int]]
) -> tuple[list[Row], dict[str, list[WordDelay]]]:
    """A row for each setting, the usual one first and its control second; and every word of these two."""
    network = load(path)
    usual = choose_decoder(network, path)
    assert isinstance(usual, TreeBeam)
    own = (usual.depth, usual.prune_interval)
    arms = [(*own, 0.0), (*own, LATER), *((*setting, 0.0) for setting in settings if setting != own)]
    rows: list[Row] = []
    words: dict[str, list[WordDelay]] = {}
    for depth, interval, later in arms:
        decoder = replace(usual, depth=depth, prune_interval=interval)
        delays, found = measure(DelayedScores(network, later), decoder, samples, said)
        rows.append({"depth": depth, "prune_interval": interval, "later": later, "said": len(said), **found})
        if len(words) < 2:
            words[f"scores {later:g} s later" if later else AS_SET] = delays
        print(json.dumps(rows[-1]))
    return rows, words


def by_kind(delays: Sequence[WordDelay]) -> Table:
    """Delays of spelled letters and of longer words apart, and how many words were shown before they ended."""
    kinds = {
        "spelled letters": [delay for delay in delays if len(delay.word) == 1],
        "longer words": [delay for delay in delays if len(delay.word) > 1],
        "all": delays,
    }
    rows = []
    for kind, of in kinds.items():
        found = delay_quantiles(of)
        early = sum(delay.shown is not None and delay.shown < delay.end for delay in of)
        quantiles = (found.get("to_show_p50"), found.get("to_show_p95"))
        rows.append((kind, len(of), int(found["matched"]), *quantiles, early))
    columns = ("words", "said", "right", "shown, p50 (s)", "p95", "shown before their end")
    return Table("Delays by kind of word, as it is set", columns, tuple(rows))


def study(rows: Sequence[Row], words: Mapping[str, Sequence[WordDelay]], times: WordTimes, stem: str) -> Study:
    """The figures as a part of the page of results; `rows` and `words` are those of `sweep`."""
    usual, control = rows[:2]
    settings = sorted((row for row in rows if not row["later"]), key=lambda row: (row["depth"], row["prune_interval"]))
    columns = ("shown, p50 (s)", "p95", "committed, p50 (s)", "p95", "taken back", "WER %")
    keys = ("to_show_p50", "to_show_p95", "to_commit_p50", "to_commit_p95")

    def cells(row: Row) -> tuple[Any, ...]:
        return (*(row[key] for key in keys), f"{row['revoked']} of {row['shown']}", row["wer"])

    more = [round(control[key] - usual[key], 2) for key in ("to_show_p50", "to_commit_p50")]
    return Study(
        number="",
        name=stem,
        title="Delays of the recogniser of English",
        claim="",
        verdict="no claim",
        findings=(
            f"As it is set (depth {usual['depth']}, every {usual['prune_interval']} frames), a word is shown "
            f"{usual['to_show_p50']} s after its end as aligned by pocketsphinx (95 %: {usual['to_show_p95']} s), and "
            f"committed after {usual['to_commit_p50']} s (95 %: {usual['to_commit_p95']} s); of {usual['shown']} words "
            f"shown, {usual['revoked']} were taken back for another.",
            f"Control: with all scores {control['later']:g} s later, the same measure says {control['to_show_p50']} s "
            f"and {control['to_commit_p50']} s, {more[0]} s and {more[1]} s more.",
        ),
        setting=(
            "AN4's test sentences as one stream, in chunks of 0.1 s; times are of sound, computing not counted. A "
            "delay runs from the end of a word to the end of the chunk after which it is on display for good, and is "
            f"below 0 for a word that is shown while it is still said. It is known for the {usual['matched']} of "
            f"{usual['said']} words that were right. The ends of words are from a forced alignment that knows the "
            "sound and the text only, and as exact as the last table says: differences below its median sizes mean "
            "little, and where aligned ends are late against the energy, delays are as much too short. The delay of "
            f"each word is in `{stem}.csv`."
        ),
        command="python -m studies.speech.english_delays --out build/benchmarks --results docs/results",
        seeds=(0,),
        tables=(
            Table(
                "Delays by how late and how often text is committed",
                ("depth", "every", *columns),
                tuple((row["depth"], row["prune_interval"], *cells(row)) for row in settings),
            ),
            Table(
                "Control: the same search on the scores as they are, and on scores that come later",
                ("scores later by (s)", *columns),
                tuple((row["later"], *cells(row)) for row in (usual, control)),
            ),
            by_kind(words[AS_SET]),
            exactness(times),
        ),
        pictures=((f"{stem}.png", "The time until a word is committed, and what committing early costs."),),
    )


def draw(rows: Sequence[Row], picture: Path) -> None:
    settings = sorted((row for row in rows if not row["later"]), key=lambda row: int(row["depth"]))
    panels = [
        Panel(
            title,
            {
                f"committing every {interval} frames": {
                    row["depth"]: [row[key]] for row in settings if row["prune_interval"] == interval
                }
                for interval in INTERVALS
            },
        )
        for key, title in (
            ("to_commit_p50", "seconds until a word is committed (median)"),
            ("wer", "wrong words (%)"),
        )
    ]
    title = "The recogniser of English: committing early or late"
    plot_curves(panels, "labels that stay open (depth)", picture, title, log=True)


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
    clips, times = getattr(an4(folder), arguments.split), WordTimes.read()
    samples, spoken = join(clips, RATE, np.random.default_rng(0), (0.3, 0.8))
    settings = [(depth, interval) for interval in INTERVALS for depth in DEPTHS]
    rows, words = sweep(find(arguments.model), samples, times.in_stream(clips, spoken), settings)
    arguments.out.mkdir(parents=True, exist_ok=True)
    kept = {"rows": rows, "words": {arm: [asdict(delay) for delay in delays] for arm, delays in words.items()}}
    (arguments.out / "english_delays.json").write_text(json.dumps(kept, indent=1) + "\n")
    if arguments.results:
        stem = "english-delays"
        draw(rows, arguments.results / f"{stem}.png")
        write_words(arguments.results / f"{stem}.csv", words)
        study(rows, words, times, stem).save(arguments.results)


if __name__ == "__main__":
    main()
