"""The steps of the tour on files: train -> compress -> pack."""

from dataclasses import asdict, dataclass
from pathlib import Path

from fewbit import passes
from fewbit.data import Digits, spoken_digits
from fewbit.errors import DataError, LoweringError
from fewbit.lower import pack as pack_model
from fewbit.models import SpeechRNN, TorchStream, Trained, load_model, save_model
from fewbit.program import Program
from fewbit.streams import Network, stream
from fewbit.text import wer
from fewbit.demo.recipe import (
    FEATURES,
    Recipe,
    batches,
    compression,
    new_model,
    one_thread,
    run,
    selection,
    train_float,
)


@dataclass(frozen=True)
class Step:
    """A network in a file, and its word error rates on joined streams of known speakers and of the unseen one."""

    path: Path
    error_rate: float
    error_rate_unseen: float


@one_thread()
def train(
    out: str | Path,
    data: str | Path | None = None,
    *,
    recipe: Recipe | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
) -> Step:
    """Train a float recogniser of spoken digits and save it.

    Args:
        out: file for the network.
        data: folder of the Free Spoken Digit Dataset; ``None`` takes the digits in the package.
        recipe: sizes, learning rates and epochs; default those of the demo.
        seed: of all randomness.
        checkpoint: a file to go on from, and to save to after each epoch.
    """
    check_target(out)
    digits = spoken_digits(data)
    recipe = recipe or Recipe()
    loader = batches(digits, recipe, seed)
    model = new_model(digits, recipe, loader, seed)
    train_float(model, loader, recipe, seed, checkpoint)
    about = {"train": asdict(recipe), "model": model.config, "seed": seed}
    return _step(save_model(out, Trained(model, recipe=about)), model, digits)


@one_thread()
def compress(
    model: str | Path,
    out: str | Path,
    *,
    weights: str = "ternary",
    activations: str = "int8",
    how: passes.Recipe | None = None,
    data: str | Path | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    checkpoint: str | Path | None = None,
) -> Step:
    """Quantize a float recogniser and retrain it by distillation from its float self.

    Args:
        model: file of a float network made by `train`.
        out: file for the quantized network.
        weights, activations: specs; the last layer gets int8 weights.
        how: other passes than those of the tour, such as `fewbit.passes.read_recipe` gives; they say all that weights,
            activations and the epochs and learning rates of `recipe` would.
        data, recipe, seed, checkpoint: as in `train`; no epochs of retraining is direct quantization.
    """
    check_target(out)
    teacher = load_model(model)
    digits = spoken_digits(data)
    recipe = recipe or Recipe()
    loader = batches(digits, recipe, seed)
    how = how or compression(recipe, weights, activations)
    student = run(how, teacher.model, loader, seed, checkpoint)
    about = teacher.recipe | how.to_dict() | {"seed": seed}
    return _step(save_model(out, Trained(student, selection(student), about)), student, digits)


def pack(model: str | Path, out: str | Path) -> Path:
    """Pack a quantized recogniser made by `compress` into a ``*.fewbit`` file.

    Raises:
        LoweringError: the network is float.
    """
    trained = load_model(model)
    if trained.quantized is None:
        raise LoweringError(f"{model}: the network is float; run fewbit compress first")
    return to_program(trained.model, spoken_digits(), trained.recipe).save(out)


def check_target(path: str | Path) -> None:
    """Refuse a file that cannot be written before the work is done, not after; raises `DataError`."""
    if Path(path).is_dir():
        raise DataError(f"{path} is a folder; name a file to write")


def to_program(model: SpeechRNN, digits: Digits, recipe: dict[str, object]) -> Program:
    """The Program of a quantized digit recogniser, with all that a stream needs."""
    return pack_model(model, features=FEATURES, alphabet=digits.alphabet, recipe=recipe)


def error_rates(network: Network, digits: Digits) -> tuple[float, float]:
    """Word error rates on the joined test streams: known speakers, unseen speaker."""
    rates = []
    for clips in (digits.test, digits.unseen):
        samples, said = digits.stream(clips)
        rates.append(wer([said], [stream([samples], network).text]))
    return rates[0], rates[1]


def _step(path: Path, model: SpeechRNN, digits: Digits) -> Step:
    return Step(path, *error_rates(TorchStream(model, FEATURES, digits.alphabet), digits))
