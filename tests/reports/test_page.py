"""The page as a file: what is in it, and what must not be."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from reports.page.build import as_json, page, write_page
from reports.page.cards import thinned, zoo_card
from reports.page.data import page_data
from reports.page.text import without_paths
from reports.subject import Holdings
from reports.tables.shown import marks, show
from reports.tables.table import Cell, Column, Row, Table
from results.store import Damaged
from tests.factory import make_failure
from tests.reports.pages import make_holdings, make_runs, tables_of
from tests.reports.profiles import make_network, make_profile

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u2028{{data}}&\"'"


def shown(holdings: Holdings, **options: Any) -> dict[str, Any]:
    """The data of a page, without images."""
    return page_data(holdings, tables_of(holdings), images=False, **options)


def small() -> Holdings:
    """Three whole rows, one with a run missing, one that failed; speeds of two."""
    runs = [
        *make_runs("unet", 0.7, params=3000),
        *make_runs("enet", 0.6, params=1000),
        *make_runs("cgnet", 0.5, params=2000),
        *make_runs("dfn", 0.9, params=100)[:3],
    ]
    machine = make_profile(make_network("unet", 3000, 1, 10.0), make_network("enet", 1000, 1, 20.0))
    return make_holdings(runs, [make_failure("segnet")], machine=machine)


def written(holdings: Holdings, folder: Path) -> str:
    path = write_page(holdings, tables_of(holdings), folder, images=False)
    assert path == folder / "report.html"
    return path.read_text(encoding="utf-8")


def embedded(text: str) -> dict[str, Any]:
    """The data as a browser would find them: up to the first end of their element."""
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert match is not None
    found: dict[str, Any] = json.loads(match[1])
    return found


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    text = written(make_holdings(make_runs(HOSTILE, 0.5)), tmp_path)
    assert embedded(text)["sections"][0]["rows"][0]["label"] == HOSTILE
    assert text.count("<script") == text.count("</script>") == 2
    assert "onerror=alert(2)>" not in text and "\u2028" not in text


def test_json_can_stand_in_a_script_element() -> None:
    text = as_json({"<&>": "\u2028\u2029 </script> ä \ud800"})
    assert text.isascii() and not set(text) & set("<>&")
    assert json.loads(text) == {"<&>": "\u2028\u2029 </script> ä \ud800"}


def test_nothing_is_loaded_and_only_this_script_and_style_are_allowed(tmp_path: Path) -> None:
    text = written(small(), tmp_path)
    addresses = set(re.findall(r"(?:https?|wss?):[^\s\"'<;]*", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of SVG's elements
    assert not re.search(r"\bsrc=|@import|url\(|innerHTML|\sstyle=|\son\w+=\"", text)
    assert re.findall(r'href="([^"]*)"', text.split("<script")[0]) == ["data:,", "#main"]
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy[1] and "unsafe" not in policy[1]
    for kind, start in (("script", "<script>"), ("style", "<style>")):
        own = text.split(start)[1].split(f"</{kind}>")[0]
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy[1]


def test_the_same_store_gives_the_same_bytes(tmp_path: Path) -> None:
    assert written(small(), tmp_path / "a") == written(small(), tmp_path / "b")


def test_sixty_networks_fit_in_two_megabytes(tmp_path: Path) -> None:
    runs = [
        run
        for place in range(60)
        for run in make_runs(
            f"network-{place:02d}", 0.2 + place / 100, range(1, 6), (0, 1), epochs=80
        )
    ]
    text = written(make_holdings(runs, patients=10), tmp_path)
    section = embedded(text)["sections"][0]
    assert len(section["rows"]) == 60 and len(section["pairs"]["metrics"][0]["pairs"]) == 1770
    assert len(section["cards"][0]["curves"]) == 10
    assert len(text.encode()) < 2_000_000


def test_cells_are_those_of_the_table() -> None:
    holdings = small()
    (table,) = tables_of(holdings)
    (section,) = shown(holdings)["sections"]
    for row, own in zip(table.rows, section["rows"], strict=True):
        assert (own["label"], own["rank"], own["status"]) == (row.label, row.rank, row.status)
        texts = [show(cell, column) for cell, column in zip(row.cells, table.columns, strict=True)]
        assert [cell[0] for cell in own["cells"]] == texts
    found = {
        (place, column): cell[2]
        for place, row in enumerate(section["rows"])
        for column, cell in enumerate(row["cells"])
        if cell[2]
    }
    assert found == marks(table) and set(found.values()) == {"best", "second"}
    assert section["caption"] == table.caption and section["notes"] == list(table.notes)


def test_footnotes_have_their_letters() -> None:
    (table,) = tables_of(small())
    rows = (replace(table.rows[0], notes=("one", "two")), replace(table.rows[1], notes=("two",)))
    (section,) = page_data(small(), [replace(table, rows=rows)], images=False)["sections"]
    assert [row["notes"] for row in section["rows"]] == [["a", "b"], ["b"]]
    assert section["footnotes"] == [["a", "one"], ["b", "two"]]


def test_the_front_is_of_ranked_rows_alone() -> None:
    (section,) = shown(small())["sections"]
    labels = [row["label"] for row in section["rows"]]
    axes = {axis["key"]: axis for axis in section["pareto"]["axes"]}
    # dfn is better and smaller than all, but lacks a run; cgnet is larger and worse than enet.
    assert [labels[place] for place in axes["params"]["front"]] == ["enet", "unet"]
    # 100 images a second for unet, which is better too, and 50 for enet.
    assert [labels[place] for place in axes["fps"]["front"]] == ["unet"]
    unet = labels.index("unet")
    assert axes["params"]["shown"][unet] == "3.00 K" and axes["fps"]["shown"][unet] == (
        "100.0 images/s"
    )


@pytest.mark.parametrize(
    ("shows", "ends"),
    [
        # 71, 71.1, 72 and 72.1 %: mean 71.55, sum of squares 1.01, standard deviation 0.58023
        ("spread", (71.55, 70.96977, 72.13023)),
        ("interval", (71.55, 60.0, 80.0)),
        ("value", (71.55, 71.55, 71.55)),
    ],
)
def test_bars_are_what_the_column_shows(shows: Any, ends: tuple[float, ...]) -> None:
    holdings = make_holdings(make_runs("unet", 0.7))
    (table,) = tables_of(holdings)
    columns = tuple(replace(column, shows=shows) for column in table.columns)
    cells = tuple(replace(cell, interval=(0.6, 0.8)) for cell in table.rows[0].cells)
    row = replace(table.rows[0], cells=cells)
    table = replace(table, columns=columns, rows=(row,))
    (section,) = page_data(holdings, [table], images=False)["sections"]
    assert section["pareto"]["heights"][0] == pytest.approx(ends, abs=1e-4)


def test_a_card_tells_what_is_known() -> None:
    (section,) = shown(small())["sections"]
    cards = dict(zip([row["label"] for row in section["rows"]], section["cards"], strict=True))
    facts = dict(cards["unet"]["facts"])
    assert "U-Net" in facts["Paper"] and "2015" in facts["Paper"]
    assert facts["Parameters"] == "3,000" and facts["Speed"].startswith("100.0 images per second")
    assert [row[:2] for row in cards["unet"]["runs"]["rows"]] == [
        ["1", "0"],
        ["1", "1"],
        ["2", "0"],
        ["2", "1"],
    ]
    assert cards["unet"]["standing"].startswith("By Dice over all images of 8 patients: rank 1 of")
    provenance = dict(cards["unet"]["provenance"])
    assert provenance["Commit"] == "abcdef0123" and provenance["Data"] == "d" * 64
    assert provenance["Fold 2"] == "2" * 64
    assert "out of memory" in cards["segnet"]["failures"][0]
    assert cards["dfn"]["standing"] == ""


def test_a_plug_in_is_not_loaded_for_its_card(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("raise SystemExit('loaded')")
    assert zoo_card(str(plugin)) is None and zoo_card("smp:nonsense/nothing") is None
    (section,) = shown(make_holdings(make_runs(str(plugin), 0.5)))["sections"]
    assert dict(section["cards"][0]["facts"])["Paper"].startswith("unknown")


def test_no_path_tells_whose_machine_it_was(tmp_path: Path) -> None:
    runs = make_runs("unet", 0.5, options={"weights": "/home/anna/nets/vgg.safetensors"})
    failed = make_failure("enet").model_copy(update={"exception": "No /scratch/anna/tmp/x.raw"})
    holdings = make_holdings(runs, [failed])
    broken = Damaged(holdings.root / "unet" / "record.json", "not JSON")
    text = written(replace(holdings, damaged=(broken,)), tmp_path)
    assert "anna" not in text
    data = embedded(text)
    assert data["unusable"] == ["unet/record.json: not JSON"]
    labels = {row["label"] for row in data["sections"][0]["rows"]}
    assert labels == {"unet[weights=…/vgg.safetensors]", "enet"}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/store/runs/unet/x.csv is gone", "unet/x.csv is gone"),
        ("see '/home/anna/data/a.raw', or not", "see '…/a.raw', or not"),
        ("file:///home/anna/data/a.raw", "…/a.raw"),
        (r"C:\Users\anna\data\a.raw", "…/a.raw"),
        ("/home/anna", "…"),
        ("~/data/anna/a.raw", "…/a.raw"),
        ("smp:unet/resnet34, Dice/patient, 1/2, and/or", None),
        ("https://example.org/a/b/c", None),
        ("./runs/a/b.csv and runs/a/b.csv", None),
        ("data:image/webp;base64,//a/b/c/d", None),
    ],
)
def test_absolute_paths_are_cut(text: str, left: str | None) -> None:
    assert without_paths({"a": [text]}, Path("/store/runs")) == {"a": [left or text]}


def test_comparisons_of_the_same_names_keep_their_cards() -> None:
    runs = make_runs("unet", 0.5) + make_runs("unet", 0.6, data_hash="e" * 64)
    sections = shown(make_holdings(runs))["sections"]
    data = [dict(each["cards"][0]["provenance"])["Data"][0] for each in sections]
    dice = [each["rows"][0]["cells"] for each in sections]
    assert sorted(data) == ["d", "e"] and dice[0] != dice[1]
    for section in sections:
        hashed = dict(section["settings"])["data"]
        assert dict(section["cards"][0]["provenance"])["Data"] == hashed


def test_another_table_stands_as_it_is() -> None:
    table = Table("other", "Other", (Column("x", "X"),), (Row("a", (Cell(1.0),)),))
    (section,) = page_data(small(), [table], images=False)["sections"]
    assert section["rows"][0]["cells"] == [["1.00", 1.0, None]] and "cards" not in section


def test_a_comparison_in_which_all_failed_has_cards_alone() -> None:
    (section,) = shown(make_holdings([], [make_failure("enet")]))["sections"]
    assert section["pareto"] is None and section["pairs"] is None
    assert section["cards"][0]["failures"] and section["cards"][0]["scores"] != []


def test_an_empty_store_has_an_empty_page() -> None:
    assert embedded(page(shown(make_holdings([]))))["sections"] == []


def test_curves_are_thinned_evenly_with_both_ends() -> None:
    assert thinned(3) == [0, 1, 2]
    places = thinned(400)
    assert (len(places), places[0], places[-1]) == (40, 0, 399)
    assert {b - a for a, b in pairwise(places)} == {10, 11}
