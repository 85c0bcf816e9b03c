"""The rule on trainings that took their batches in parts."""

from __future__ import annotations

from pathlib import Path

from results.store import Store
from tests.reports.honest import edit, findings, only, record_of, write_rows


def test_a_run_whose_batches_did_not_fit_is_a_footnote_of_its_row(tmp_path: Path) -> None:
    store = Store(tmp_path / "runs")
    write_rows(store)
    assert findings(store) == ()
    record = record_of(store, "enet", 1, 0)
    edit(store, record, lambda payload: payload["training"].update(micro_batch=2))
    finding = only(store, "memory")
    assert finding.rows == ("enet",)
    assert finding.severity == "note"
    assert finding.text.startswith(
        "1 of 4 runs trained with no more than 2 images at a time, since GPU memory ran out."
    )
    assert "batch normalisation" in finding.text
