"""Runs whose record, per-image scores and pixel counts belong to each other."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmark.metrics import Confusion, aggregate
from benchmark.metrics.aggregate import pooled_counts
from benchmark.metrics.cases import overlaps_of, status_of
from benchmark.protocols import load_protocol
from reports.lint import Finding, lint
from reports.subject import read_holdings
from results.cases import CASES
from results.files import write_atomically
from results.record import Counts, RunRecord
from results.spec import sha256
from results.store import RECORD, Store
from tests.factory import SMOKE, make_record

Line = dict[str, Any]
Edit = Callable[[dict[str, Any]], None]

OTHER = load_protocol("smoke", ["lr=0.01"])


def lines_of(fold: int, hits: int) -> list[Line]:
    """Three patients with two images of 100 pixels; 10 are true, and `hits` of them are found.

    The last image is empty in truth and prediction.
    """
    lines = []
    for place in range(6):
        found = max(1, hits - place)
        counts = Confusion(found, place, 10 - found, 90 - place)
        if place == 5:
            counts = Confusion(0, 0, 0, 100)
        status = status_of(counts)
        far = math.nan if status == "both_empty" else float(20 - found)
        lines.append(
            {
                "id": f"f{fold}p{place // 2}-{place}",
                "group": f"f{fold}p{place // 2}",
                **vars(counts),
                "status": status,
                **overlaps_of(counts, status, SMOKE.score),
                "hausdorff_px": far,
                "hd95_px": far / 2,
                "assd_px": far / 4,
            }
        )
    return lines


def write_honest(
    store: Store,
    model: str = "unet",
    *,
    hits: int = 8,
    lines: list[Line] | None = None,
    data: dict[str, Any] | None = None,
    **changes: Any,
) -> RunRecord:
    """Write a run.

    Args:
        store: Where to.
        model: Its network.
        hits: How many true pixels of its first image are found.
        lines: Its images, in place of those of `lines_of`.
        data: Changes of the record's data.
        changes: Changes of the record and of its spec, as `make_record` takes them.
    """
    fold = changes.get("fold", 1)
    images = lines_of(fold, hits + changes.get("seed", 0)) if lines is None else lines
    groups = [line["group"] for line in images]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(images[0]), lineterminator="\n")
    writer.writeheader()
    for line in images:
        writer.writerow(
            {k: "" if isinstance(v, float) and math.isnan(v) else v for k, v in line.items()}
        )
    record = make_record(
        model,
        scores=aggregate(images, groups, SMOKE.score),
        data={"n_test": len(images), **(data or {})},
        **changes,
    )
    record = record.model_copy(
        update={
            "counts": {"infection": Counts(**vars(pooled_counts(images)))},
            "files": {CASES: sha256(text.getvalue())},
        }
    )
    write_atomically(store.folder(record.spec) / CASES, text.getvalue())
    store.write(record)
    return record


def write_rows(store: Store, *models: str, **changes: Any) -> None:
    """Write two folds and two seeds of some networks."""
    for place, model in enumerate(models or ("cgnet", "enet", "unet")):
        for fold in (1, 2):
            for seed in (0, 1):
                write_honest(store, model, hits=7 + place, fold=fold, seed=seed, **changes)


def record_of(store: Store, model: str, fold: int, seed: int) -> RunRecord:
    """A run of a store."""
    (found,) = [
        each
        for each in store.records()
        if isinstance(each, RunRecord)
        and (each.spec.model, each.spec.fold, each.spec.seed) == (model, fold, seed)
    ]
    return found


def drop(store: Store, record: RunRecord) -> None:
    """Take a run out of its store."""
    (store.folder(record.spec) / RECORD).unlink()


def edit(store: Store, record: RunRecord, change: Edit) -> None:
    """Alter a record and give it a SHA-256 that fits again."""
    payload = record.model_dump(mode="json", by_alias=True)
    change(payload)
    path = store.folder(record.spec) / RECORD
    path.write_text(RunRecord.model_validate(payload).to_text(), encoding="utf-8")


def findings(store: Store | Path) -> tuple[Finding, ...]:
    """What the lint finds in a store."""
    return lint(read_holdings(store.root if isinstance(store, Store) else store))


def only(store: Store, rule: str) -> Finding:
    """The one finding of a rule, in a store that has none of any other fault."""
    found = findings(store)
    assert [each.rule for each in found if each.severity == "fault"] in ([rule], []), found
    (one,) = [each for each in found if each.rule == rule]
    return one
