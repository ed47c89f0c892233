"""Wheels as read-only folders, fetched once by pip into ``build/wheels``."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "wheels"


def wheel_file(name: str, version: str) -> Path:
    """The wheel of a distribution in exactly this version; pip downloads it, without what it depends on, if missing."""
    stem = re.sub(r"[-_.]+", "_", name).lower() + f"-{version}-"

    def found() -> list[Path]:
        return [path for path in FOLDER.glob("*.whl") if path.name.lower().startswith(stem)]

    if not found():
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--dest", str(FOLDER), f"{name}=={version}"], check=True, stdout=sys.stderr)
    return found()[0]


def wheel(name: str, version: str) -> zipfile.Path:
    """The content of a wheel.

    Example:
        >>> (wheel("g2p-en", "2.1.0") / "g2p_en" / "checkpoint20.npz").read_bytes()[:2]
        b'PK'
    """
    return zipfile.Path(wheel_file(name, version))
