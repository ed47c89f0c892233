"""The studies on a GPU are commands beside the package, and import one another from their folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "studies" / "gpu"))
