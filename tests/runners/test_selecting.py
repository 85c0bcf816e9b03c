"""The rows of a published table as a selection."""

from __future__ import annotations

import pytest

from runners.selecting import choose_rows
from zoo.errors import CovbenchError


def test_a_network_that_stands_for_two_rows_runs_once() -> None:
    choice = choose_rows(None, "chsnet-table5")
    rows = [row.label for row in choice.rows]
    assert rows == ["chsnet-bu", "chsnet-bu-rib", "chsnet-bu-rib-hp", "raiunet"]
    assert choice.apart == ("chsnet",)


def test_table3_has_its_28_rows() -> None:
    choice = choose_rows(None, "miniseg-table3")
    assert len(choice.rows) == 28
    assert choice.missing == choice.apart == ()
    labels = [row.label for row in choice.rows]
    assert labels[-2:] == ["miniseg", "miniseg[weights=imagenet]"]
    assert sum("imagenet" in label for label in labels) == 17


def test_a_cascade_is_not_trained_by_itself() -> None:
    assert choose_rows(["@chsnet-table3"]).apart == ("chsnet",)
    assert "chsnet" not in [row.name for row in choose_rows(["all"]).rows]
    with pytest.raises(CovbenchError, match="can't be trained by itself") as caught:
        choose_rows(["chsnet"])
    assert "covbench models chsnet" in caught.value.remedy


def test_a_row_with_imagenet_weights_is_a_row_of_its_own() -> None:
    rows = [row.label for row in choose_rows(None, "miniseg-table1").rows]
    assert rows[-2:] == ["miniseg", "miniseg[weights=imagenet]"]
    assert len(rows) == 5
