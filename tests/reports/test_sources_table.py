"""Scores by collection, from per-image counts by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reports.boards.sources_table import sources_table
from reports.boards.standings import general_form
from reports.subject import read_holdings
from results.cases import CASES
from results.files import write_atomically
from results.spec import sha256
from results.store import Store
from tests.factory import make_record
from tests.stores import write_run


def write_sourced(store: Store, images: dict[str, tuple[str, int, int]], **spec: Any) -> None:
    """A run whose images are (collection, true positives, false positives), with 2 missed each."""
    lines = ["id,group,source,tp,fp,fn,tn,status,dice"]
    for image, (source, tp, fp) in images.items():
        dice = 2 * tp / (2 * tp + fp + 2)
        lines.append(f"{image},{image},{source},{tp},{fp},2,90,ok,{dice}")
    text = "\n".join(lines) + "\n"
    record = make_record(**spec).model_copy(update={"files": {CASES: sha256(text)}})
    write_atomically(store.folder(record.spec) / CASES, text)
    store.write(record)


def test_each_collection_by_itself(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_sourced(store, {"a": ("x", 8, 2), "b": ("y", 2, 6), "c": ("y", 4, 2)}, model="unet")
    write_sourced(store, {"a": ("x", 4, 2), "b": ("y", 8, 2), "c": ("y", 8, 2)}, model="enet")
    (subject,) = read_holdings(tmp_path).subjects
    table = sources_table(subject, general_form())
    assert table is not None
    place = [column.key for column in table.columns].index("dice_slice")
    found = [
        (row.cells[0].value, row.label, row.cells[1].value, row.cells[place].number)
        for row in table.rows
    ]
    # Dice: 16/20, 8/12; (4/12 + 8/12)/2, 16/20
    assert [line[:3] for line in found] == [
        ("x", "unet", 1),
        ("x", "enet", 1),
        ("y", "enet", 2),
        ("y", "unet", 2),
    ]
    assert [line[3] for line in found] == pytest.approx([0.8, 8 / 12, 0.8, 0.5])
    assert "params" not in [column.key for column in table.columns]


def test_one_collection_has_no_such_table(tmp_path: Path) -> None:
    write_run(Store(tmp_path), {"a-1": 0.5, "b-1": 0.7})
    (subject,) = read_holdings(tmp_path).subjects
    assert sources_table(subject, general_form()) is None
