"""What makes ops by hand is a plain file beside the tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
