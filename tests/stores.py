"""Runs with per-image scores in a store, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from results.cases import CASES
from results.files import write_atomically
from results.record import RunRecord
from results.spec import sha256
from results.store import Store
from tests.factory import make_record


def write_run(
    store: Store,
    dice: Mapping[str, float | None],
    *,
    group: Callable[[str], str] = lambda image: image.partition("-")[0],
    listed: bool = True,
    data: dict[str, Any] | None = None,
    **spec: Any,
) -> RunRecord:
    """Write a record and its cases.csv.

    Args:
        store: Where to.
        dice: Dice of each image by its id; HD95 is 100 px less 100 times as much.
        group: The patient of an image: what stands before the first dash of its id.
        listed: Whether the record names the file.
        data: Changes of the record's data.
        spec: Changes of the spec.
    """
    lines = ["id,group,tp,fp,fn,tn,status,dice,hd95_px"]
    for image, value in dice.items():
        scores = ("", "") if value is None else (value, 100 - 100 * value)
        status = "both_empty" if value is None else "ok"
        lines.append(",".join(map(str, (image, group(image), 1, 2, 3, 4, status, *scores))))
    text = "\n".join(lines) + "\n"
    record = make_record(data=data, **spec)
    if listed:
        record = record.model_copy(update={"files": {CASES: sha256(text)}})
    write_atomically(store.folder(record.spec) / CASES, text)
    store.write(record)
    return record
