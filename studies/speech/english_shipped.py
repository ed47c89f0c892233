"""Error rates of the very recogniser of English that lies in the package.

    FEWBIT_DATA=... python -m studies.speech.english_shipped --results docs/results
    python -m scripts.write_measured

The second command writes the table into the card beside the file. Means over several trainings are those of `english`.
"""

import argparse
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fewbit import load
from fewbit.analysis.report import Table
from fewbit.shipped import pretrained
from fewbit.streams import KINDS
from studies.evidence import Study, of
from studies.evidence.rows import Rows
from studies.speech.english import both_ways, spoken_by_test_speakers
from studies.speech.english_findings import SENTENCES, STREAM, STRONGEST

FILES = ("an4.fewbit", "an4.char.ngram", "an4.word.ngram", "an4.toml")
"""All that figures depend on."""


def fingerprints(folder: Path) -> list[dict[str, Any]]:
    """Rows of ``file, bytes, sha256``."""
    contents = {name: (folder / name).read_bytes() for name in FILES}
    return [
        {"file": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in contents.items()
    ]


def study(files: Rows, rates: Rows, seed: int) -> Study:
    """The study of rows ``file, bytes, sha256`` and ``where, lm, wer, cer``; `seed` is that of the training."""
    [network] = of(files, file=FILES[0])
    sentences, stream = (of(rates, where=where, lm=STRONGEST)[0]["wer"] for where in (SENTENCES, STREAM))
    cells = tuple(
        (row["where"], row["lm"], f"{row['wer']:.2f}", f"{row['cer']:.2f}")
        for where in (SENTENCES, STREAM)
        for kind in KINDS
        for row in of(rates, where=where, lm=kind)
    )
    return Study(
        number="",
        name="english-shipped",
        title="The recogniser of English in the package",
        claim="",
        verdict="no claim",
        findings=(
            f"The file `{network['file']}` in the package, {network['bytes']:,} bytes, a single training: "
            f"{sentences:.2f} % of the words wrong sentence by sentence and {stream:.2f} % in one endless stream "
            "without reset, with characters and words.",
        ),
        setting=(
            "130 sentences of 10 speakers of AN4 who were never trained on; weights of the language models were tuned "
            "on 7 training speakers held out. The data hold the SHA-256 of the files measured."
        ),
        command="python -m studies.speech.english_shipped --results docs/results",
        seeds=(seed,),
        tables=(Table("Error rates", ("", "language model", "WER %", "CER %"), cells),),
        rows={"files": files, "rates": rates},
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, required=True)
    results = parser.parse_args(argv).results
    path = pretrained("an4")
    network = load(path)
    rates = both_ways(network, path, spoken_by_test_speakers())
    print(study(fingerprints(path.parent), rates, int(network.recipe["seed"])).save(results))


if __name__ == "__main__":
    main()
