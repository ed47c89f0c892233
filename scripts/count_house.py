"""Count the house: lines by folder, public names, import floors, and the bytes of a wheel if one is given.

python -m scripts.count_house [--root FOLDER] [--wheel FILE]
"""

import argparse
import ast
import subprocess
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

CODE = {".py", ".cpp", ".c", ".h", ".inl", ".js"}


def lines(root: Path) -> Counter[str]:
    """Lines of code by folder; rooms of the package each for themselves."""
    listed = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout
    found: Counter[str] = Counter()
    for name in listed.splitlines():
        path = root / name
        if path.suffix in CODE and path.is_file():
            parts = Path(name).parts
            depth = 3 if name.startswith("src/") else 1
            found["/".join(parts[: min(depth, len(parts) - 1)]) or "."] += len(path.read_text("utf-8").splitlines())
    return found


def public_names(root: Path) -> Counter[str]:
    """Names in ``__all__`` by package."""
    found: Counter[str] = Counter()
    for path in sorted((root / "src" / "fewbit").rglob("__init__.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                package = ".".join(path.parent.relative_to(root / "src").parts)
                found[package] += len(ast.literal_eval(node.value))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).parent.parent)
    parser.add_argument("--wheel", type=Path)
    given = parser.parse_args()
    for title, counts in (("lines", lines(given.root)), ("public names", public_names(given.root))):
        print(title)
        for name, count in sorted(counts.items()):
            print(f"  {name:28}{count:>8,}")
        print(f"  {'all':28}{counts.total():>8,}")
    contracts = tomllib.loads((given.root / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    print(f"import floors of the package: {len(contracts[0]['layers'])}; import contracts: {len(contracts)}")
    if given.wheel:
        with zipfile.ZipFile(given.wheel) as wheel:
            python = [info for info in wheel.infolist() if info.filename.endswith(".py")]
        size = given.wheel.stat().st_size
        print(f"wheel: {size:,} bytes, {len(python)} Python files of {sum(i.file_size for i in python):,} bytes")


if __name__ == "__main__":
    main()
