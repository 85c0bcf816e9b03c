"""The rows of a published table as a selection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch import nn

from runners.cli import run_cli
from runners.selecting import choose_rows
from zoo import registry
from zoo.errors import CovbenchError
from zoo.registry import register_model
from zoo.selection import Row


@pytest.fixture
def needy() -> Iterator[str]:
    """A network of @demo whose package nobody has."""

    @register_model("needy", requires=("no-such-package",), tags=("demo",))
    def needy(in_channels: int, num_classes: int) -> nn.Module:
        return nn.Conv2d(in_channels, num_classes, 1)

    yield "needy"
    registry.forget(__name__)


def test_a_network_that_stands_for_two_rows_runs_once() -> None:
    choice = choose_rows(None, "chsnet-table5")
    rows = [row.label for row in choice.rows]
    assert rows == ["chsnet-bu", "chsnet-bu-rib", "chsnet-bu-rib-hp", "raiunet"]
    assert choice.joined == (Row("raiunet"),)
    assert choice.apart == ()


def test_table3_has_its_28_rows() -> None:
    choice = choose_rows(None, "miniseg-table3")
    assert len(choice.rows) == 28
    assert choice.missing == choice.apart == ()
    labels = [row.label for row in choice.rows]
    assert labels[-2:] == ["miniseg", "miniseg[weights=imagenet]"]
    assert sum("imagenet" in label for label in labels) == 17


def test_a_row_that_is_a_cascade_by_name_is_run_as_one() -> None:
    for words in (["@chsnet-table3"], ["all"], ["chsnet"]):
        choice = choose_rows(words)
        assert choice.joined == (Row("raiunet"),)
        assert choice.apart == ()
        assert "chsnet" not in [row.name for row in choice.rows]
    assert choose_rows(["chsnet"]).rows == ()


@pytest.fixture
def untrained() -> Iterator[str]:
    """A network that can't be trained as it is."""

    @register_model("joined-by-hand", trainable=False)
    def joined_by_hand(in_channels: int, num_classes: int) -> nn.Module:
        return nn.Conv2d(in_channels, num_classes, 1)

    yield "joined-by-hand"
    registry.forget(__name__)


def test_what_is_joined_of_others_is_not_trained_by_itself(untrained: str) -> None:
    assert choose_rows([untrained, "unet"]).apart == (untrained,)
    with pytest.raises(CovbenchError, match="can't be trained by itself") as caught:
        choose_rows([untrained])
    assert f"covbench models {untrained}" in caught.value.remedy


def test_a_row_with_imagenet_weights_is_a_row_of_its_own() -> None:
    rows = [row.label for row in choose_rows(None, "miniseg-table1").rows]
    assert rows[-2:] == ["miniseg", "miniseg[weights=imagenet]"]
    assert len(rows) == 5


def test_what_a_group_leaves_out_for_want_of_a_package_is_kept(needy: str) -> None:
    choice = choose_rows(["@demo"])
    assert needy not in [row.name for row in choice.rows] and len(choice.rows) > 1
    assert (choice.uninstalled, choice.packages) == ((needy,), ("no-such-package",))
    choice = choose_rows(["@demo", f"!{needy}"])
    assert choice.uninstalled == choice.packages == ()


def test_a_run_says_in_one_line_what_was_left_out_and_how_to_get_it(
    needy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", "--protocol", "smoke", "--data", "phantom", "--dry-run", "--models"]
    line = f"Left out, since packages are missing (pip install no-such-package): {needy}."
    assert run_cli([*arguments, "@demo"]) == 0
    assert line in capsys.readouterr().err.splitlines()
    assert run_cli([*arguments, "enet"]) == 0
    assert "Left out" not in capsys.readouterr().err
