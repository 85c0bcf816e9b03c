"""One factor of scoring at a time, by hand, on two networks and four images of two patients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmark.metrics import METRICS
from benchmark.protocols import ScoreRule, load_protocol
from reports.chosen import places_of
from reports.comparing.factors import factors_table
from reports.comparing.rescoring import score_rule
from reports.comparing.scorings import out_of_reach, settings_of, settings_towards
from reports.sides import metric_named
from reports.tables.table import Table
from results.cases import read_cases
from results.store import Store
from tests.factory import make_spec
from tests.predicted import Dataset, Pixels, write_predicted
from zoo.errors import CovbenchError

TRUTH = {"p-1": range(4), "p-2": [], "q-1": range(4), "q-2": range(8)}


def sure(*places: int) -> dict[int, float]:
    return dict.fromkeys(places, 1.0)


UNET: dict[str, Pixels] = {
    "p-1": {**sure(0, 1), 2: 0.4, 3: 0.4},  # Dice 4/6; 1 from 0.3 on
    "p-2": {},  # undefined, or perfect
    "q-1": {0: 0.35, 1: 0.35},  # nothing is found, 0; 4/6 from 0.3 on
    "q-2": sure(*range(8)),  # 1
}
ENET: dict[str, Pixels] = {
    "p-1": sure(*range(4)),  # 1
    "p-2": {9: 0.6},  # 0; undefined from 0.7 on
    "q-1": sure(0, 1),  # 4/6
    "q-2": sure(*range(6)),  # 12/14
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    dataset = Dataset({name: list(places) for name, places in TRUTH.items()})
    dataset.put(monkeypatch)
    made = Store(tmp_path / "runs")
    write_predicted(made, dataset, UNET, model="unet")
    write_predicted(made, dataset, ENET, model="enet")
    return made


def table_of(store: Store, metric: str = "dice", **which: Any) -> Table:
    (place,) = places_of(read_cases(store.root), store.root)
    return factors_table(place, store.root, metric_named(metric), **which)


def lines(table: Table) -> dict[str, dict[str, Any]]:
    keys = [column.key for column in table.columns]
    return {
        row.label: dict(zip(keys, (cell.value for cell in row.cells), strict=True))
        for row in table.rows
    }


def test_every_factor_by_hand(store: Store) -> None:
    table = table_of(store)
    found = lines(table)
    assert list(found) == [
        "as scored",
        "score.both_empty = perfect",
        "score.pred_empty = zero-all",
        "score.surface_points = foreground",
        "pixels of a run's images pooled",
        "mean over images",
        "threshold 0.3",
        "threshold 0.7",
    ]
    unet, enet = (2 / 3 + (0 + 1) / 2) / 2, ((1 + 0) / 2 + (2 / 3 + 12 / 14) / 2) / 2
    assert enet > unet
    own = found["as scored"]
    assert own["best"] == "enet"
    assert own["best_mean"] == pytest.approx(enet)
    assert (own["tau"], own["moved"], own["moves"], own["change"]) == (1, 0, None, 0)

    # The image without infection, in which unet rightly finds none, counts 1.
    perfect = ((2 / 3 + 1) / 2 + (0 + 1) / 2) / 2
    line = found["score.both_empty = perfect"]
    assert (line["best"], line["tau"], line["moved"]) == ("unet", -1, 2)
    assert line["moves"] == "enet 1→2, unet 2→1"
    assert line["best_mean"] == pytest.approx(perfect)
    assert (line["changed"], line["change"]) == ("unet", pytest.approx(perfect - unet))

    # An empty prediction has Dice 0 by either rule, and no distance enters Dice.
    for label in ("score.pred_empty = zero-all", "score.surface_points = foreground"):
        assert (found[label]["best_mean"], found[label]["moved"]) == (pytest.approx(enet), 0)

    line = found["mean over images"]
    assert line["best_mean"] == pytest.approx((1 + 0 + 2 / 3 + 12 / 14) / 4)
    assert line["change"] == pytest.approx((2 / 3 + 0 + 1) / 3 - unet)
    line = found["pixels of a run's images pooled"]
    assert line["best_mean"] == pytest.approx(2 * 12 / (2 * 12 + 1 + 4))
    assert line["changed"] == "enet"  # unet: 2 * 10 / (2 * 10 + 6), a change of 0.186
    assert line["change"] == pytest.approx(2 * 12 / (2 * 12 + 1 + 4) - enet)

    line = found["threshold 0.3"]
    assert (line["best"], line["tau"]) == ("unet", -1)
    assert line["best_mean"] == pytest.approx((1 + (2 / 3 + 1) / 2) / 2)
    line = found["threshold 0.7"]
    assert (line["best"], line["tau"]) == ("enet", 1)
    assert line["best_mean"] == pytest.approx((1 + (2 / 3 + 12 / 14) / 2) / 2)
    assert "2 networks on 4 test images" in table.caption
    assert any("gives the pixel counts of every run again" in note for note in table.notes)
    assert table.to_markdown()
    assert table.to_latex()
    assert table.to_csv()


def test_zero_for_everything_touches_specificity(store: Store) -> None:
    found = lines(table_of(store, "specificity"))
    assert found["as scored"]["best"] == "unet"
    enet = ((1 + 24 / 25) / 2 + 1) / 2
    line = found["score.pred_empty = zero-all"]
    assert (line["best"], line["best_mean"]) == ("enet", pytest.approx(enet))
    assert line["change"] == pytest.approx((1 + 1 / 2) / 2 - 1)


def test_distances_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = [place for place in range(25) if place // 5 in (0, 4) or place % 5 in (0, 4)]
    dataset = Dataset({"p-1": ring, "q-1": ring})
    dataset.put(monkeypatch)
    made = Store(tmp_path)
    square = sure(*range(25))  # same border; its centre is 2 pixels from the ring
    write_predicted(made, dataset, {"p-1": square, "q-1": square}, model="unet")
    # A ring with a pixel more, one pixel from it: border and foreground are the same.
    more = sure(*ring, 6)
    write_predicted(made, dataset, {"p-1": more, "q-1": more}, model="enet")
    found = lines(table_of(made, "hausdorff_px"))
    assert (found["as scored"]["best"], found["as scored"]["best_mean"]) == ("unet", 0)
    line = found["score.surface_points = foreground"]
    assert (line["best"], line["best_mean"], line["tau"]) == ("enet", 1, -1)
    assert (line["change"], line["changed"]) == (2, "unet")
    assert "pixels of a run's images pooled" not in found


def test_thresholds_are_those_that_are_asked_for(store: Store) -> None:
    found = lines(table_of(store, thresholds=(0.5, 0.9, 0.9)))
    assert [label for label in found if label.startswith("threshold")] == ["threshold 0.9"]


def test_each_seed_is_pooled_and_then_averaged(store: Store) -> None:
    dataset = Dataset({name: list(places) for name, places in TRUTH.items()})
    right = {name: sure(*places) for name, places in TRUTH.items()}
    write_predicted(store, dataset, right, model="unet", seed=1)
    write_predicted(store, dataset, ENET, model="enet", seed=1)
    line = lines(table_of(store))["pixels of a run's images pooled"]
    assert (line["best"], line["best_mean"]) == ("unet", pytest.approx((20 / 26 + 1) / 2))


def test_rounding_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Dataset({"p-1": [0, 1], "q-1": [0]})
    dataset.put(monkeypatch)
    made = Store(tmp_path)
    found: dict[str, Pixels] = {"p-1": {0: 1.0, 1: 0.5}, "q-1": sure(0)}
    # The network itself left the tie to the background.
    write_predicted(made, dataset, found, decided={"p-1": {0: 1.0}}, model="unet")
    write_predicted(made, dataset, {"p-1": sure(0), "q-1": sure(0)}, model="enet")
    table = table_of(made)
    (note,) = (note for note in table.notes if "rounded" in note)
    assert "of 1 pixels at 0.5 the first line decides 1 otherwise" in note
    assert "by more than 17 points" in note  # Dice of p-1: 1 instead of 2/3, of two patients


def refused(act: Any, *words: str) -> None:
    with pytest.raises(CovbenchError) as found:
        act()
    assert len(str(found.value).splitlines()) == 2
    for word in words:
        assert word in str(found.value)


def test_predictions_that_are_not_of_the_scores_are_refused(store: Store) -> None:
    dataset = Dataset({name: list(places) for name, places in TRUTH.items()})
    write_predicted(store, dataset, ENET, decided={"p-1": sure(0)}, model="dfn")
    refused(lambda: table_of(store), "dfn", "do not give its own counts: p-1", "--force")


def test_rows_without_predictions_are_left_out_or_refused(store: Store) -> None:
    dataset = Dataset({name: list(places) for name, places in TRUTH.items()})
    write_predicted(store, dataset, ENET, keep=False, model="dfn")
    table = table_of(store)
    assert any(note.startswith("dfn is left out") for note in table.notes)
    refused(lambda: table_of(store, rows=("unet", "dfn")), "dfn", "--set keep=predictions")
    refused(lambda: table_of(store, rows=("unet", "dfm")), "Did you mean dfn")


def test_settings_follow_the_protocols_own_rule() -> None:
    rule = score_rule(make_spec(settings=load_protocol("miniseg-code").canonical()))
    found = settings_of(rule, METRICS["dice_slice"], (0.3,))
    assert [each.label for each in found[1:]] == [
        "score.both_empty = perfect",
        "score.pred_empty = worst",
        "score.surface_points = border",
        "pixels of a run's images pooled",
        "mean over patients",
        "threshold 0.3",
    ]
    assert found[1].rule.pred_empty == "zero-all"
    assert found[1].rule.size == 512


def test_towards_another_protocol(store: Store) -> None:
    paper = load_protocol("miniseg-code")
    own = ScoreRule()
    labels = [each.label for each in settings_towards(own, paper.score, METRICS["dice_patient"])]
    assert labels == [
        "as scored",
        "score.pred_empty = zero-all",
        "score.surface_points = foreground",
        "all of these together",
    ]
    table = table_of(store, "specificity", towards=paper)
    found = lines(table)
    assert list(found) == labels
    assert found["all of these together"] == found["score.pred_empty = zero-all"]
    (note,) = (note for note in table.notes if "needs new runs" in note)
    assert "optim.epochs (100 and 80)" in note
    assert "score.size (native and 512)" in note
    assert "score.pred_empty" not in note
    identical = load_protocol("identical")
    refused(lambda: table_of(store, towards=identical), "judge a prediction alike", "covbench run")
    assert out_of_reach(make_spec(), load_protocol("smoke")) == []
