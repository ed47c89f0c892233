"""The virtual environment of the peers, and ggml compiled for this machine from the sdist of llama-cpp-python."""

import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

TORCH = "torch==2.13.0"  # named alone, so that a CPU build at hand is taken and no larger one is fetched
GGML = "llama-cpp-python==0.3.36"
REQUIREMENTS = Path(__file__).parent / "requirements.txt"

# gcc 12 takes ldtilecfg for reading only 8 bytes and drops the stores of the others, so mmq.cpp keeps dead stores.
CMAKE = """
cmake_minimum_required(VERSION 3.18)
project(ggml_alone C CXX)
add_subdirectory("{source}" ggml)
set_source_files_properties("{source}/src/ggml-cpu/amx/mmq.cpp" TARGET_DIRECTORY ggml-cpu
                            PROPERTIES COMPILE_OPTIONS "-fno-tree-dse;-fno-dse")
"""
OPTIONS = ("-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON", "-DGGML_OPENMP=OFF", "-DBUILD_SHARED_LIBS=ON")


def install(folder: Path, ggml: bool) -> None:
    """Make the environment; with ``ggml`` compile that as well (two minutes)."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", TORCH], check=True)
    subprocess.run([*pip, "install", "--quiet", "-r", str(REQUIREMENTS)], check=True)
    if ggml:
        compile_ggml(pip, folder / "ggml")


def compile_ggml(pip: list[str], target: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        subprocess.run([*pip, "download", "--quiet", "--no-deps", "--no-binary", ":all:", "-d", name, GGML], check=True)
        with tarfile.open(next(work.glob("*.tar.gz"))) as archive:
            archive.extractall(work, filter="data")
        source = next(work.glob("*/vendor/llama.cpp/ggml"))
        (work / "CMakeLists.txt").write_text(CMAKE.format(source=source))
        build = work / "build"
        subprocess.run(["cmake", "-S", name, "-B", str(build), *OPTIONS], check=True, stdout=sys.stderr)
        subprocess.run(["cmake", "--build", str(build), "-j", "2"], check=True, stdout=sys.stderr)
        target.mkdir(exist_ok=True)
        for library in build.rglob("libggml-*.so*"):
            shutil.copy(library, target / library.name, follow_symlinks=False)
