"""Lists in recipe files, beside patterns, which are pairs as well."""

import pytest

from fewbit.passes import Recipe
from fewbit.passes.recipe_file import read_recipe


@pytest.mark.parametrize("heads", [[[0, 0]], [[0, 1], [1, 2]], [[3], []]])
def test_lists_of_numbers_in_pairs_are_no_patterns(tmp_path, heads):
    objective = {"kind": "TeacherIntervention", "heads": heads}
    recipe = Recipe.from_dict({"passes": [{"kind": "Finetune", "epochs": 1, "objective": objective}]})
    file = tmp_path / "heads.toml"
    file.write_text(recipe.to_toml())
    assert read_recipe(file) == recipe
