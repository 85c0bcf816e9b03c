from __future__ import annotations

from pathlib import Path

import pytest

from reports.boards.joined import SCRATCH, join
from reports.boards.paper_tables import paper_tables
from reports.boards.rows import SPREADS, Form, Spread
from reports.boards.standings import leaderboard
from reports.comparison import compare
from reports.subject import read_holdings
from reports.tables.layout import layout_names, load_layout
from reports.tables.shown import show
from results.published import published_names, published_table
from results.store import Store
from tests.factory import make_failure, make_record
from tests.reports.profiles import make_network, make_profile
from tests.reports.test_analysis import fill
from zoo.errors import CovbenchError


def none_here(_comparison: object, _target: str) -> tuple[dict[str, object], list[str]]:
    return {}, []


def cells(table: object, label: str) -> dict[str, str]:
    row = next(each for each in table.rows if each.label == label)  # type: ignore[attr-defined]
    columns = table.columns  # type: ignore[attr-defined]
    return {column.key: show(cell, column) for cell, column in zip(row.cells, columns, strict=True)}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("COVBENCH_DATA", str(tmp_path / "data"))
    made = Store(tmp_path / "runs")
    fill(made, {"unet": 0.7, "miniseg": 0.8, "fcn8s": 0.6, "other": 0.9})
    return made


def test_every_published_table_has_a_layout_with_its_columns_in_order() -> None:
    assert set(layout_names()) == {"general", *published_names()}
    for name in published_names():
        layout, published = load_layout(name), published_table(name)
        assert layout.published == name
        known = list(published.rows[0])
        printed = [each.printed for each in layout.columns if each.printed]
        assert all(each in known for each in (*printed, *filter(None, [layout.first])))
        assert [each.metric for each in layout.columns if each.metric] == list(
            published.scores.values()
        )


def test_table_three_has_the_papers_rows_columns_and_digits(store: Store) -> None:
    holdings = read_holdings(store.root)
    (table,) = paper_tables(Form(load_layout("miniseg-table3"), "none"), holdings.subjects)
    assert len(table.rows) == 28
    assert [row.heading for row in table.rows][:3] == ["U-Net", "FCN-8s", "FRRN"]
    assert [column.title for column in table.columns] == [
        *("ImageNet", "#Param", "FLOPs", "Speed (FPS)"),
        *("mIoU", "SEN", "SPC", "DSC", "HD"),
    ]
    own = cells(table, "unet")
    assert (own["params"], own["macs"], own["imagenet"]) == ("1.00K", "2.27G", "")
    assert own["dice_slice"].startswith("70.") or own["dice_slice"].startswith("69.")
    assert own["fps"] == "–"
    assert "**" in table.to_markdown()


def test_marks_are_among_the_rows_that_the_table_shows(store: Store) -> None:
    """`other` is the best of the store and no row of the paper's table."""
    holdings = read_holdings(store.root)
    (table,) = paper_tables(Form(load_layout("miniseg-table3"), "none"), holdings.subjects)
    place = [column.key for column in table.columns].index("dice_slice")
    marks = {row.label: row.cells[place].mark for row in table.rows if row.cells[place].mark}
    assert marks == {"miniseg": "best", "unet": "second"}


def test_a_row_published_with_imagenet_and_run_from_scratch_says_so(store: Store) -> None:
    holdings = read_holdings(store.root)
    (table,) = paper_tables(Form(load_layout("miniseg-table3")), holdings.subjects)
    by_label = {row.label: row for row in table.rows}
    assert by_label["fcn8s"].notes == (SCRATCH,)
    # MiniSeg has a row from scratch of its own; the other is not filled with it.
    assert by_label["miniseg[weights=imagenet]"].status == "not run"
    assert by_label["miniseg"].notes == ()


def test_rows_join_by_network_task_and_weights() -> None:
    pretrained = {"options": {"weights": "imagenet"}}
    runs = [make_record("miniseg", **pretrained), make_record("unet"), make_record("raiunet")]
    comparisons = compare(runs, [make_failure("enet")])
    found = {
        each.printed["method"]: each
        for each in join(published_table("miniseg-table3"), comparisons)
        if each.entry
    }
    assert set(found) == {"U-Net", "ENet", "MiniSeg"}
    assert found["MiniSeg"].printed["imagenet"] == "yes"
    direct = join(published_table("chsnet-table4"), comparisons)
    assert [each.label for each in direct if each.entry] == ["raiunet"]
    cascade = join(published_table("chsnet-table5"), comparisons)
    assert [each.label for each in cascade if each.entry] == []
    assert cascade[-1].label == "raiunet (hierarchical)"


def test_no_row_of_the_table_was_run(tmp_path: Path) -> None:
    fill(Store(tmp_path), {"mine": 0.5})
    with pytest.raises(CovbenchError, match="No recorded network stands for a row"):
        paper_tables(Form(load_layout("miniseg-table3")), read_holdings(tmp_path).subjects)


@pytest.mark.parametrize("spread", SPREADS)
def test_what_stands_beside_a_mean_is_said(store: Store, spread: Spread) -> None:
    (subject,) = read_holdings(store.root).subjects
    form = Form(load_layout("general"), spread)
    table = leaderboard(
        subject.comparison,
        "infection",
        form,
        subject.analysis,
        trivial=none_here,  # type: ignore[arg-type]
    )
    words = {
        "runs": "Mean ± sample standard deviation over 2 runs (folds 1, 2, seed 0).",
        "seeds": "sample standard deviation over seeds, each the mean of its folds.",
        "folds": "sample standard deviation over folds, each the mean of its seeds.",
        "interval": "with its 95 % interval (bootstrap over 10 patients, 10,000 resamples).",
        "none": "Mean over 2 runs (folds 1, 2, seed 0).",
    }[spread]
    assert words in table.caption
    shown = cells(table, "unet")["dice_slice"]
    beside = {"runs": " ± ", "folds": " ± ", "interval": " [", "seeds": None, "none": None}[spread]
    assert (beside in shown) if beside else (" " not in shown)


def test_speed_comes_from_a_machines_profile(store: Store) -> None:
    profile = make_profile(make_network("unet", 1000, 2_000_000, 81.0))
    (subject,) = read_holdings(store.root).subjects
    form = Form(load_layout("miniseg-table3"), "none", profile)
    (table,) = paper_tables(form, [subject])
    assert cells(table, "unet")["fps"] == "12.3"
    assert profile.machine in table.caption


def test_a_layout_of_ones_own(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "Mine"\nlabel = "Net"\n[[columns]]\nmetric = "hd95_patient_px"\ndigits = 1\n'
        '[[columns]]\nmetric = "dice_slice"\npercent = false\ndigits = 3\n',
        encoding="utf-8",
    )
    (subject,) = read_holdings(store.root).subjects
    table = leaderboard(
        subject.comparison,
        "infection",
        Form(load_layout(str(path)), "none"),
        trivial=none_here,  # type: ignore[arg-type]
    )
    assert table.label == "Net"
    assert [column.head for column in table.columns] == ["HD95 ↓ (px)", "Dice ↑"]
    assert len(cells(table, "unet")["dice_slice"].partition(".")[2]) == 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = ", "must be valid TOML"),
        ("title = 'x'", "columns"),
        ("title = 'x'\n[[columns]]\nmetric = 'dise'", "dise is no metric"),
        ("title = 'x'\n[[columns]]\ntitle = 'x'", "one of metric, value and printed"),
        ("title = 'x'\n[[columns]]\nvalue = 'cost'", "value"),
    ],
)
def test_a_file_that_is_no_layout(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CovbenchError, match=words):
        load_layout(str(path))


def test_unknown_layouts() -> None:
    with pytest.raises(CovbenchError, match="miniseg-table3"):
        load_layout("miniseg-tabel3")
    with pytest.raises(CovbenchError, match=r"can't be read"):
        load_layout("nowhere.toml")
