"""The C++ test of all targets: as it is, under sanitizers, and compiled for ARM under an emulator."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fewbit.native.library import find_library

ROOT = Path(__file__).parents[2]
ARM = "aarch64-linux-gnu"
pytestmark = pytest.mark.slow
long = pytest.mark.skipif(not os.environ.get("FEWBIT_LONG"), reason="takes minutes: make long")


def need(*tools):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")


def build(folder, *options):
    """The program, compiled in `folder`."""
    configure = ["cmake", "-S", str(ROOT), "-B", str(folder), "-DFEWBIT_TESTS=ON", *options]
    for command in (configure, ["cmake", "--build", str(folder), "--parallel", "2", "--target", "fewbit_equality"]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning" not in done.stderr + done.stdout, done.stdout + done.stderr
    return folder / "fewbit_equality"


def targets(*command, **environment):
    """What the program compared, after it found no difference."""
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return {line.split()[0] for line in done.stdout.splitlines() if "numbers equal" in line}


def test_all_targets_give_the_integers_of_plain_loops(tmp_path):
    need("c++")
    library = find_library()
    if library is None:
        pytest.skip("the native library is not installed")
    program = tmp_path / "equality"
    source = ROOT / "csrc" / "tests" / "equality.cpp"
    command = ["c++", "-std=c++20", "-O1", "-pthread", str(source), str(library), "-o", str(program)]
    subprocess.run(command, check=True, capture_output=True)
    assert "scalar" in targets(str(program), "1", "8", LD_LIBRARY_PATH=str(library.parent))


@long
def test_sanitizers_find_nothing(tmp_path):
    need("cmake", "c++")
    # The other targets take ten minutes to compile with sanitizers; leave the option out to run them as well.
    program = build(tmp_path, "-DFEWBIT_SANITIZE=ON", "-DFEWBIT_PLAIN=ON")
    # What lives as long as the process is no leak.
    assert "scalar" in targets(str(program), "2", "1", ASAN_OPTIONS="detect_leaks=0")


@long
def test_arm_gives_the_same_integers(tmp_path):
    need("cmake", f"{ARM}-g++", "qemu-aarch64")
    program = build(
        tmp_path,
        "-DCMAKE_SYSTEM_NAME=Linux",
        "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        f"-DCMAKE_C_COMPILER={ARM}-gcc",
        f"-DCMAKE_CXX_COMPILER={ARM}-g++",
    )
    emulator = ("qemu-aarch64", "-L", f"/usr/{ARM}", "-cpu", "max")
    assert targets(*emulator, str(program), "3", "1") == {"dotprod", "neon", "scalar"}
