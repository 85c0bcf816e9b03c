"""The rows of a published table as a selection."""

from __future__ import annotations

from runners.selecting import choose_rows


def test_a_network_that_stands_for_two_rows_runs_once() -> None:
    rows = [row.label for row in choose_rows(None, "chsnet-table5").rows]
    assert rows == ["chsnet-bu", "chsnet-bu-rib", "chsnet-bu-rib-hp", "raiunet", "chsnet"]


def test_a_row_with_imagenet_weights_is_a_row_of_its_own() -> None:
    rows = [row.label for row in choose_rows(None, "miniseg-table1").rows]
    assert rows[-2:] == ["miniseg", "miniseg[weights=imagenet]"]
    assert len(rows) == 5
