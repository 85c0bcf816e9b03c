"""The lint as a whole: a clean store, footnotes, refusals, the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

import runners.cli
from reports.lint import Finding, ReportRefused, footnotes, lint, refuse, table_notes
from reports.subject import read_holdings
from results.store import Store
from tests.reports.honest import findings, write_rows
from zoo.errors import CovbenchError

FOLDS = Finding("folds", "fault", "phantom-smoke", ("unet",), "Fold 1 is odd.", "covbench run A")
CODE = Finding("code", "note", "phantom-smoke", ("enet", "unet"), "Run by another.")
TABLE = Finding("leak", "fault", "phantom-smoke", (), "Patients are shared.")
STORE = Finding("damaged", "fault", "", (), "A record is damaged.", "covbench run B")
ELSEWHERE = Finding("folds", "fault", "ct100-smoke", ("unet",), "Fold 2 is odd.", "covbench run C")
ALL = (FOLDS, CODE, TABLE, STORE, ELSEWHERE)


def test_a_clean_store_has_no_finding(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_rows(store)
    assert findings(store) == ()


def test_an_empty_store_has_no_finding(tmp_path: Path) -> None:
    assert lint(read_holdings(tmp_path)) == ()


def test_footnotes_are_those_of_the_tables_own_rows() -> None:
    assert footnotes(ALL, "phantom-smoke") == {
        "unet": ("Fold 1 is odd.", "Run by another."),
        "enet": ("Run by another.",),
    }
    assert footnotes(ALL, "ct100-smoke") == {"unet": ("Fold 2 is odd.",)}


def test_notes_are_of_the_whole_table_or_of_the_store() -> None:
    assert table_notes(ALL, "phantom-smoke") == ("Patients are shared.", "A record is damaged.")
    assert table_notes((TABLE, TABLE), "phantom-smoke") == ("Patients are shared.",)
    assert table_notes(ALL, "ct100-smoke") == ("A record is damaged.",)


def test_notes_alone_are_not_refused() -> None:
    refuse((CODE,))
    with pytest.raises(ReportRefused):
        refuse((CODE, TABLE))


def test_a_refusal_names_three_faults_and_their_commands_in_two_lines() -> None:
    with pytest.raises(ReportRefused) as refused:
        refuse(ALL)
    assert refused.value.problem == (
        "--strict refuses this report for 4 faults: unet: Fold 1 is odd. Patients are shared. "
        "A record is damaged. And 1 more."
    )
    assert refused.value.remedy == (
        "Run `covbench run A`; `covbench run B`. `covbench report` without --strict prints them "
        "all as footnotes."
    )
    assert "\n" not in refused.value.problem + refused.value.remedy


def test_a_refusal_without_a_command_says_what_shows_it() -> None:
    with pytest.raises(ReportRefused) as refused:
        refuse((TABLE,))
    assert refused.value.problem.startswith("--strict refuses this report for 1 fault: Patients")
    assert refused.value.remedy.startswith("`covbench report` without --strict")


@pytest.mark.parametrize(
    ("error", "code"), [(ReportRefused("No.", "Do it."), 3), (CovbenchError("No.", "Do it."), 1)]
)
def test_the_command_line_ends_with_3_for_a_refusal(
    error: CovbenchError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    app = typer.Typer()

    @app.callback()
    def verbs() -> None:
        """So that a verb is named."""

    @app.command()
    def report() -> None:
        raise error

    monkeypatch.setattr(runners.cli, "app", app)
    assert runners.cli.run_cli(["report"]) == code
    assert capsys.readouterr().err == "No.\nDo it.\n"
