"""The store that covbench ships: small, whole, and enough for every table and figure."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from reports.figures.catalogue import FIGURES
from reports.lint import lint
from reports.report import Wish, write_report
from reports.subject import Holdings, read_holdings
from reports.tables.layout import layout_names
from results.machines import find_profile
from results.shared import opened, shipped_stores
from zoo.selection import select

STORE = Path("phantom")
RUN_HERE = ("chsnet-table2", "chsnet-table5")
"""Layouts of tasks that no run of the store has."""


@pytest.fixture(scope="module")
def holdings(tmp_path_factory: pytest.TempPathFactory) -> Holdings:
    with opened(STORE) as root:
        kept = tmp_path_factory.mktemp("store") / "phantom"
        shutil.copytree(root, kept)
    return read_holdings(kept, find_profile("epyc-1-thread"))


@pytest.fixture(scope="module")
def written(holdings: Holdings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every table, figure and the page, on data made here."""
    out = tmp_path_factory.mktemp("report")
    layouts = tuple(name for name in layout_names() if name not in ("general", *RUN_HERE))
    wish = Wish(
        against=("miniseg-table3",),
        layouts=layouts,
        machine=holdings.subjects[0].machine,
        page=True,
        strict=True,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COVBENCH_DATA", str(tmp_path_factory.mktemp("data")))
        write_report(holdings.root, out, wish)
    return out


def test_it_is_small_and_has_the_demos_networks_on_three_folds_and_two_seeds(
    holdings: Holdings,
) -> None:
    assert shipped_stores() == ("phantom",)
    file = Path(__file__).parent.parent / "results" / "stores" / "phantom.covbench"
    assert file.stat().st_size < 2_000_000
    runs = Counter(record.spec.row for record in holdings.records)
    assert {row.label for row in select(["@demo"])} <= runs.keys()
    assert len(runs) > 15
    assert set(runs.values()) == {6}
    assert {(r.spec.fold, r.spec.seed) for r in holdings.records} == {
        (fold, seed) for fold in (1, 2, 3) for seed in (0, 1)
    }


def test_the_lint_finds_no_fault_in_it(holdings: Holdings) -> None:
    assert [each for each in lint(holdings) if each.severity == "fault"] == []


def test_every_table_and_figure_comes_of_it(written: Path) -> None:
    tables = {path.stem for path in written.glob("*.tex")}
    assert {"leaderboard", "statistics", "against-miniseg-table3", "miniseg-table3"} <= tables
    assert {name for name in layout_names() if name not in ("general", *RUN_HERE)} <= tables
    drawn = {path.name for path in (written / "figures").glob("*.pdf")}
    for name in FIGURES:
        assert any(each.startswith(f"{name}-phantom-smoke") for each in drawn), name
    assert (written / "report.html").stat().st_size < 4_000_000


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_every_table_and_figure_compiles(written: Path, tmp_path: Path) -> None:
    inputs = [path.resolve() for path in sorted(written.glob("*.tex"))]
    figures = written / "figures"
    body = "\n\\clearpage\n".join(rf"\input{{{path}}}" for path in inputs)
    document = (
        "\\documentclass{article}\n\\usepackage{booktabs,longtable,graphicx,pdflscape}\n\\begin{document}\n"
        f"{body}\n\\graphicspath{{{{{figures.resolve()}/}}}}\n"
        f"\\input{{{(figures / 'figures.tex').resolve()}}}\n\\end{{document}}\n"
    )
    (tmp_path / "paper.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-3000:]
    log = (tmp_path / "paper.log").read_text(errors="replace")
    assert "Missing character" not in log
