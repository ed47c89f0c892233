"""What running without torch takes: size of a new environment, peak memory, and whether the text stays the same.

    python -m benchmarks.torch_free --out build/benchmarks

Makes a virtual environment with nothing but `pip install .`, streams the joined test digits there and here, and writes
`torch_free.json`: megabytes of the installed packages (without pip and setuptools), peak memory of the streaming
process as a ratio to the same process in this environment, and whether both heard the same text.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

import soundfile

from fewbit.data import spoken_digits

ROOT = Path(__file__).parent.parent
TOOLS = ("pip", "setuptools", "pkg_resources", "_distutils_hack")
PROBE = """
import sys
from fewbit.cli.main import main
code = main(["stream", sys.argv[1], "--model", "digits", "--json"])
# Not getrusage: its peak starts with that of the process that forked this one.
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(int(peak.split()[1]) / 1024, "torch" in sys.modules)
sys.exit(code)
"""


def listen(python: str | Path, sound: Path, target: str = "") -> dict[str, Any]:
    """Stream a file in a process of its own: what it prints, its peak memory, whether it loaded torch."""
    environment = os.environ | {"FEWBIT_TARGET": target}
    done = subprocess.run(
        [python, "-c", PROBE, sound], check=True, capture_output=True, text=True, cwd=sound.parent, env=environment
    )
    heard, measured = done.stdout.splitlines()
    peak, torch = measured.split()
    text: dict[str, Any] = json.loads(heard)
    return text | {"peak_mb": round(float(peak), 1), "torch_loaded": torch == "True"}


def installed_mb(folder: Path) -> float:
    """Megabytes under a site-packages folder, without the tools that install."""
    files = [file for part in folder.iterdir() if not part.name.startswith(TOOLS) for file in [part, *part.rglob("*")]]
    return round(sum(file.stat().st_size for file in files if file.is_file()) / 1e6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    digits = spoken_digits()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples, _ = digits.stream(digits.test)
        soundfile.write(folder / "digits.flac", samples, digits.sample_rate)
        venv.create(folder / "env", with_pip=True)
        python = folder / "env" / "bin" / "python"
        install = ["install", "--quiet", "--disable-pip-version-check", str(ROOT), "-c", str(ROOT / "constraints.txt")]
        subprocess.run([str(python), "-m", "pip", *install], check=True)
        without = listen(python, folder / "digits.flac")
        slow = listen(python, folder / "digits.flac", "reference")
        here = listen(sys.executable, folder / "digits.flac")
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        size = installed_mb(folder / "env" / "lib" / version / "site-packages")
    result = {
        "installed_mb": size,
        "peak_mb": without["peak_mb"],
        "real_time_factor": without["real_time_factor"],
        "times_reference": round(slow["real_time_factor"] / without["real_time_factor"], 2),
        "peak_mb_reference": slow["peak_mb"],
        "times_training_environment": round(without["peak_mb"] / here["peak_mb"], 3),
        "torch_loaded": without["torch_loaded"],
        "same_text": without["text"] == here["text"] == slow["text"],
        "words": len(here["text"].split()),
        "audio_seconds": without["audio_seconds"],
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "torch_free.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
