"""Short forms of the names of ops, which are paths of modules."""

from collections.abc import Sequence


def common(names: Sequence[str]) -> str:
    """The longest path of modules that begins all names."""
    parts = [name.split(".") for name in names]
    shared = 0
    while all(len(part) > shared and part[shared] == parts[0][shared] for part in parts):
        shared += 1
    return ".".join(parts[0][:shared])


def root_of(names: Sequence[str]) -> str:
    """The common first path of all names, if leaving it out saves much; else an empty string."""
    paths = [name for name in names if "." in name]
    root = common(paths) if len(paths) > 1 else ""
    if any(name[len(root) + 1 :][:1].isdigit() for name in paths):  # a number alone says little
        root = root.rpartition(".")[0]
    return root if len(root) > 8 and root not in paths else ""


def under(name: str, root: str) -> str:
    """A name without the path that it begins with."""
    return name.removeprefix(f"{root}.") if root else name


def cut(name: str, width: int) -> str:
    """A name with its middle left out where it is too long."""
    if len(name) <= width:
        return name
    behind = (width - 1) // 2
    return f"{name[: width - 1 - behind]}…{name[len(name) - behind :]}"
