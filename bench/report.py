"""How long a whole report of the shipped store takes: tables, figures, page."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from reports.report import Wish, write_report
from reports.subject import read_holdings
from results.machines import find_profile
from results.shared import opened


def run() -> dict[str, float]:
    """Seconds of reading the store, and of everything that `covbench report` can write of it."""
    wish = Wish(
        against=("miniseg-table3",),
        layouts=("miniseg-table3", "chsnet-table3"),
        machine=find_profile("epyc-1-thread"),
        page=True,
    )
    with opened(Path("phantom")) as root, tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        read_holdings(root)
        read = time.perf_counter() - started
        started = time.perf_counter()
        written = write_report(root, Path(out), wish)
        whole = time.perf_counter() - started
    return {
        "reading the records (s)": read,
        "everything (s)": whole,
        "everything / reading": whole / read,
        "files": float(len(written.paths)),
    }
