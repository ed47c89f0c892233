"""The example of a language model, from its text to a packed file that writes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fewbit import load
from fewbit.data import Windows
from fewbit.passes import Recipe, read_recipe
from fewbit.streams import TextGenerator
from fewbit.tasks import compress, load_network, load_task, pack, train

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The steps of the guide with the recipe as it is, on a network and a training that take seconds."""
    folder = tmp_path_factory.mktemp("text")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("my_text.txt").write_text("\n\n".join("a sea of quiet bees\nsees " * 8 for _ in range(20)))
        task = load_task(str(EXAMPLES / "my_text.py"))
    stream = next(iter(task.batches(0)))[0].flatten()
    task = replace(task, size=8, epochs=1, batches=lambda seed: Windows(stream, 2, 96, 2, seed))
    train(task, folder / "float", progress=False)
    found = compress(task, folder / "float", folder / "ternary", read_recipe(EXAMPLES / "ternary_text.toml"))
    return task, found, load(pack(task, folder / "ternary", folder / "text.fewbit"))


def test_blocks_are_ternary_and_the_ends_have_eight_bits(made):
    task, found, _ = made
    model = load_network(found.path, task).model
    assert max(len(row.unique()) for row in model.blocks[0].attention.query.weight) <= 3
    assert len(model.head.weight.unique()) > 3
    assert found.test > 0


def test_the_packed_network_streams_as_the_retrained_one_scores(made):
    task, found, program = made
    model = load_network(found.path, task).model
    x = next(iter(task.batches(1)))[0][0]
    with torch.no_grad():
        wanted = model(x[None])[0].numpy()
    outputs, state = [], program.init_state()
    for part in np.split(x.numpy().astype(np.float32)[:, None], (1, 5, 40)):
        scores, state = program.step(part, state)
        outputs.append(scores)
    whole, _ = program.step(x.numpy().astype(np.float32)[:, None], program.init_state())
    assert np.array_equal(np.concatenate(outputs), whole)
    assert np.abs(whole / (1 << program.fraction_bits) - wanted).mean() < 0.02 * np.abs(wanted).mean() + 0.01


def test_it_writes_and_knows_how_it_was_made(made):
    _, _, program = made
    text = "".join(TextGenerator(program).generate("a sea", tokens=20, seed=1))
    assert set(text) <= set("a seofquitb")
    assert Recipe.from_dict(program.recipe) == read_recipe(EXAMPLES / "ternary_text.toml")
