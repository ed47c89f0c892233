"""Many short independent runs on any executor; rows are saved as they come, and an interrupted sweep resumes."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import product
from pathlib import Path
from typing import Any, Protocol

from tqdm.auto import tqdm

from fewbit.atomic_file import write_atomically
from fewbit.errors import ArgumentError, DataError, FewbitError, MissingExtraError

Config = dict[str, Any]
Row = dict[str, Any]
Trial = Callable[..., Mapping[str, Any]]
FAILED = "failed"


class Executor(Protocol):
    """Anything that runs trials elsewhere, such as a `concurrent.futures.Executor`.

    Examples:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> executor: Executor = ThreadPoolExecutor(2)
        >>> executor.submit(sum, [1, 2]).result()
        3
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Start a call and return its future."""
        ...


def grid(**axes: Iterable[Any]) -> list[Config]:
    """All combinations, the last axis fastest.

    Examples:
        >>> grid(bits=[2, 3], seed=[0])
        [{'bits': 2, 'seed': 0}, {'bits': 3, 'seed': 0}]
    """
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def sweep(
    trial: Trial,
    configs: Sequence[Config],
    *,
    out: str | Path | None = None,
    executor: Executor | None = None,
    progress: bool = True,
    title: str = "sweep",
) -> list[Row]:
    """Run ``trial(**config)`` for every config and return ``config | result`` in the order of `configs`.

    Args:
        trial: returns a mapping of plain values. With an executor of other processes it must be picklable.
        configs: plain values (what JSON can hold); see `grid`.
        out: a file of JSON lines to which each row is appended as it comes. Rows already there are not run again.
        executor: where trials run; by default here, one after the other.
        progress: whether a bar with the time left is shown on standard error.
        title: label of the progress bar.

    A trial that raises a `FewbitError` or gives a number that is not finite becomes a row with the reason under
    ``failed`` and is tried again next time; any other exception ends the sweep, and finished rows are on disk.

    Raises:
        ArgumentError: two configs are equal.
        DataError: `out` is not a file of rows.

    Examples:
        >>> def trial(bits, seed):
        ...     return {"error": 10.0 / bits + seed}
        >>> [row["error"] for row in sweep(trial, grid(bits=[2, 4], seed=[0]), progress=False)]
        [5.0, 2.5]
    """
    keys = [_key(config) for config in configs]
    if len(set(keys)) < len(keys):
        raise ArgumentError(f"{title}: two configs are equal; each needs a row of its own")
    rows = _read(Path(out)) if out is not None else {}
    todo = [config for key, config in zip(keys, configs, strict=True) if key not in rows]
    with tqdm(
        total=len(configs), initial=len(configs) - len(todo), desc=title, unit="run", disable=not progress
    ) as bar:
        for config, result in _run(trial, todo, executor):
            rows[_key(config)] = config | result
            if out is not None:
                _append(Path(out), {"config": config, "result": result})
            bar.update()
    return [rows[key] for key in keys]


def ray_executor(address: str | None = None) -> Executor:
    """Trials as Ray tasks of one CPU each, on the cluster at `address` or on this machine.

    Raises:
        MissingExtraError: Ray is not installed.

    Examples:
        >>> executor = ray_executor("auto")  # doctest: +SKIP
        >>> rows = sweep(trial, grid(seed=range(100)), executor=executor)  # doctest: +SKIP
    """
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError.for_extra("cluster", "a sweep on a cluster needs Ray") from error
    ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)

    class _Ray:
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
            future: Future[Any] = ray.remote(num_cpus=1)(fn).remote(*args, **kwargs).future()
            return future

    return _Ray()


def process_executor(workers: int) -> Executor:
    """Trials in `workers` processes of this machine, each with one thread of torch.

    Examples:
        >>> from fewbit.analysis import grid, sweep
        >>> workers = process_executor(1)
        >>> hasattr(workers, "submit")  # give it to `sweep` or an analysis as executor=
        True
    """
    from loky import get_reusable_executor

    executor: Executor = get_reusable_executor(max_workers=workers, initializer=_one_thread)
    return executor


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def _run(trial: Trial, configs: Sequence[Config], executor: Executor | None) -> Iterable[tuple[Config, Row]]:
    if executor is None:
        for config in configs:
            yield config, _attempt(trial, config)
        return
    running = {executor.submit(_attempt, trial, config): config for config in configs}
    try:
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
    finally:
        for future in running:
            future.cancel()


def _attempt(trial: Trial, config: Config) -> Row:
    try:
        result = dict(trial(**config))
    except FewbitError as error:
        return {FAILED: f"{type(error).__name__}: {error}"}
    broken = [name for name, value in result.items() if isinstance(value, float) and not math.isfinite(value)]
    if broken:
        return {FAILED: f"not finite: {', '.join(f'{name} = {result[name]}' for name in broken)}"}
    return result


def _key(config: Mapping[str, Any]) -> str:
    return json.dumps(config, sort_keys=True)


def _append(path: Path, row: Row) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _read(path: Path) -> dict[str, Row]:
    """Rows by config; an incomplete last line, left by a killed sweep, is removed from the file."""
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    whole, _, torn = text.rpartition("\n")
    if torn:
        write_atomically(path, f"{whole}\n" if whole else "")
    rows = {}
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            row = json.loads(line)
            config, result = row["config"], row["result"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}, line {number}: not a row of a sweep; give another file or repair it") from error
        if FAILED not in result:
            rows[_key(config)] = config | result
    return rows
