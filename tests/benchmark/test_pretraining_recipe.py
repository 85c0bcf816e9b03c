"""Recipes of pretraining: what ships, what counts, and what a user is told who got it wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmark.pretraining import Recipe, load_recipe
from benchmark.settings import format_value
from zoo.errors import CovbenchError


def test_the_shipped_recipe_holds_the_defaults() -> None:
    shipped = load_recipe("imagenet")
    assert shipped == Recipe(name="imagenet", description=shipped.description)
    optim = shipped.optim
    assert (optim.lr, optim.momentum, optim.weight_decay) == (0.1, 0.9, 1e-4)
    assert (optim.epochs, optim.batch, optim.warmup_epochs) == (90, 256, 5)
    assert (shipped.input.size, shipped.input.area) == (224, (0.08, 1.0))


def test_what_is_idle_changes_no_identity() -> None:
    cosine = load_recipe("imagenet").canonical()
    assert load_recipe("imagenet", ["step_factor=0.5"]).canonical() == cosine
    assert load_recipe("imagenet", ["seed=1"]).canonical() != cosine
    steps = load_recipe("imagenet", ["schedule=step"]).canonical()
    assert steps["optim"]["step_epochs"] == [30, 60, 80]


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("[optim]\nepochs = 10\nwarmup_epochs = 0\n")
    recipe = load_recipe(path, ["precision=bf16"])
    assert (recipe.name, recipe.optim.epochs, recipe.run.precision) == ("mine", 10, "bf16")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("epoch=3", "Did you mean epochs"),
        ("optim.sgd=3", "Unknown recipe key 'optim.sgd'"),
        ("precision=int8", "run.precision must be"),
        ("epochs=3", "--set warmup_epochs=0"),
        ("resize=200", "--set resize=256"),
        ("area=1.0, 0.5", "input.area must be two numbers"),
        ("lr=0", "optim.lr must be greater than 0"),
    ],
)
def test_mistakes_are_told_in_two_lines(change: str, words: str) -> None:
    with pytest.raises(CovbenchError) as caught:
        load_recipe("imagenet", [change])
    assert len(str(caught.value).splitlines()) == 2
    assert words in str(caught.value)


def test_other_names_and_fields_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CovbenchError, match=r"Unknown recipe 'imagnet'.*\n.*imagenet"):
        load_recipe("imagnet")
    path = tmp_path / "mine.toml"
    path.write_text("[optim]\nepoch = 10\n")
    with pytest.raises(CovbenchError, match=r"optim.epoch.*\n.*optim.epochs"):
        load_recipe(path)


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(CovbenchError, match="needs momentum"):
        load_recipe("imagenet", ["nesterov=true", "momentum=0.0"])


def test_the_page_for_users_has_every_field_and_its_value() -> None:
    page = (Path(__file__).parents[2] / "docs" / "pretraining.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+\.\w+)` \| `(.+?)` \|", page, re.MULTILINE)
    settings = load_recipe("imagenet").model_dump(mode="json", exclude={"name", "description"})
    assert dict(rows) == {
        f"{section}.{field}": format_value(value)
        for section, fields in settings.items()
        for field, value in fields.items()
    }
