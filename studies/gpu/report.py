"""Parts of the page of results from what a run on a GPU left.

    python -m studies.gpu.report build/gpu/out/gpu.json --results docs/results
    python -m scripts.write_measured

Writes ``gpu-NAME.json`` for each group that has rows. Tables hold the figures of every network, so that what is said
of them can be computed again.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from studies.evidence import Study
from studies.gpu import trained_report
from studies.gpu.timing_report import plans, scans

MAKERS = (scans, plans, trained_report.pictures, trained_report.letters, trained_report.speech)


def studies(result: dict[str, Any]) -> list[Study]:
    """All studies for which there are rows."""
    return [study for make in MAKERS if (study := make(result)) is not None]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--results", type=Path, required=True)
    arguments = parser.parse_args(argv)
    for study in studies(json.loads(arguments.file.read_text(encoding="utf-8"))):
        print(study.save(arguments.results))


if __name__ == "__main__":
    main()
