"""Two rows, two stores and two protocols beside each other."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from benchmark.protocols import load_protocol
from reports.chosen import Place, places_of, two_protocols, two_rows, two_stores
from reports.comparing.compare import pair_tables
from reports.comparing.ranking import protocol_sides, ranking_table
from reports.sentences import p_text
from reports.sides import metric_named, scores_of
from reports.tables.table import Table
from results.cases import CASES, read_cases
from results.store import Store
from tests.stores import write_run
from zoo.errors import CovbenchError

PAPER = load_protocol("miniseg-code")
DICE = metric_named("dice")
Dice = dict[str, float | None]


def images(fold: int, mean: float, noise: int) -> Dice:
    """Four patients a fold, two images each; the noise is each patient's own."""
    drawn = random.Random(noise)
    names = [f"{fold}{patient}-{image}" for patient in "abcd" for image in "12"]
    return {name: mean + drawn.uniform(-0.05, 0.05) for name in names}


def fill(
    store: Store, model: str, mean: float, noise: int, **spec: Any
) -> dict[tuple[int, int], Dice]:
    """Two folds and two seeds of a network."""
    found = {}
    for fold in (1, 2):
        for seed in (0, 1):
            dice = images(fold, mean, noise + 10 * fold + seed)
            found[fold, seed] = dice
            write_run(store, dice, model=model, fold=fold, seed=seed, **spec)
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """unet is better than enet, and cgnet is enet with less noise of its own."""
    made = Store(tmp_path / "runs")
    fill(made, "unet", 0.7, 100)
    fill(made, "enet", 0.6, 200)
    fill(made, "cgnet", 0.6, 300)
    return made


def places(store: Store, **which: Any) -> list[Place]:
    return places_of(read_cases(store.root), store.root, **which)


def cell(table: Table, row: str, key: str) -> Any:
    place = [column.key for column in table.columns].index(key)
    return next(each for each in table.rows if each.label == row).cells[place].value


def test_two_rows_by_hand(store: Store) -> None:
    by_run = [fill(Store(store.root.parent / "again"), "unet", 0.7, 100)]
    by_run.append(fill(Store(store.root.parent / "again"), "enet", 0.6, 200))
    means, difference = pair_tables(*two_rows(places(store), "unet", "enet"), DICE)
    patients: list[np.ndarray[Any, Any]] = []
    for runs in by_run:
        own: dict[str, list[float]] = {}
        for dice in runs.values():
            for image, value in dice.items():
                own.setdefault(image.partition("-")[0], []).append(float(value or 0))
        patients.append(np.array([np.mean(own[name]) for name in sorted(own)]))
    unet, enet = patients
    assert cell(means, "unet", "mean") == pytest.approx(unet.mean())
    assert cell(means, "enet", "mean") == pytest.approx(enet.mean())
    seeds = [
        np.mean([v for (_, s), dice in by_run[0].items() if s == seed for v in dice.values()])
        for seed in (0, 1)
    ]
    assert cell(means, "unet", "seed_sd") == pytest.approx(np.std(seeds, ddof=1))
    row = "unet − enet"
    assert cell(difference, row, "difference") == pytest.approx((unet - enet).mean())
    assert cell(difference, row, "median") == pytest.approx(np.median(unet - enet))
    assert cell(difference, row, "p") == pytest.approx(stats.wilcoxon(unet - enet).pvalue)
    assert cell(difference, row, "rank_biserial") == 1
    assert (cell(difference, row, "n"), cell(difference, row, "unit")) == (8, "patient")
    assert cell(difference, row, "low") > 0
    assert "Over 8 patients with 16 test images (folds 1, 2; seeds 0, 1, averaged)" in means.caption
    assert "higher than enet, which is better" in difference.caption
    for table in (means, difference):
        assert table.caption in table.to_markdown()
        assert table.to_latex()
        assert table.to_csv()


def test_a_lower_distance_is_better(store: Store) -> None:
    _, difference = pair_tables(*two_rows(places(store), "unet", "enet"), metric_named("hd95_px"))
    assert cell(difference, "unet − enet", "high") < 0
    assert "px lower than enet, which is better" in difference.caption


def test_what_can_not_be_told_apart_is_said_so(store: Store) -> None:
    _, difference = pair_tables(*two_rows(places(store), "cgnet", "enet"), DICE)
    assert "the interval holds 0" in difference.caption


def test_means_over_images_are_those_of_the_leaderboard(tmp_path: Path) -> None:
    made = Store(tmp_path)
    dice: Dice = {"a-1": 0.9, "a-2": 0.7, "a-3": 0.8, "b-1": 0.2}
    write_run(made, dice, model="unet")
    write_run(made, {**dice, "a-2": None}, model="enet")
    sides = two_rows(places(made), "unet", "enet")
    by_image, _ = pair_tables(*sides, metric_named("dice_slice"))
    by_patient, _ = pair_tables(*sides, metric_named("dice_patient"))
    assert cell(by_image, "unet", "mean") == pytest.approx(2.6 / 4)
    assert cell(by_image, "enet", "mean") == pytest.approx(1.9 / 3)
    assert cell(by_patient, "unet", "mean") == pytest.approx((0.8 + 0.2) / 2)
    assert cell(by_patient, "enet", "mean") == pytest.approx((0.85 + 0.2) / 2)
    assert any("One training each" in note for note in by_image.notes)
    assert any("no Wilcoxon test can give" in note for note in by_image.notes)


def test_units_are_said_where_patients_are_not_known(tmp_path: Path) -> None:
    unknown = {"groups_disjoint": False, "shared_groups": ()}
    for folder, group, words in (
        ("slices", lambda image: image, "slices are the units"),
        ("groups", lambda image: image.partition("-")[0], "known groups are kept together"),
    ):
        made = Store(tmp_path / folder)
        for noise, model in enumerate(("unet", "enet")):
            write_run(made, images(1, 0.5, noise), model=model, group=group, data=unknown)
        means, _ = pair_tables(*two_rows(places(made), "unet", "enet"), DICE)
        assert any(words in note for note in means.notes)


def refused(act: Any, *words: str) -> None:
    with pytest.raises(CovbenchError) as found:
        act()
    text = str(found.value)
    assert len(text.splitlines()) == 2
    for word in words:
        assert word in text


def test_rows_that_are_none_are_refused(store: Store) -> None:
    refused(lambda: two_rows(places(store), "unet", "enett"), "enett", "Did you mean enet")
    refused(lambda: two_rows(places(store), "unet", "unet"), "itself")
    refused(lambda: places(store, data="fantom"), "Did you mean phantom")
    refused(lambda: places(store, protocol="smoky"), "Did you mean smoke")
    refused(lambda: metric_named("dicce"), "Did you mean dice")
    refused(lambda: metric_named("dice_pooled"), "all images together")


def test_other_folds_seeds_and_images_are_refused(store: Store) -> None:
    def compared(model: str) -> Any:
        return lambda: pair_tables(*two_rows(places(store), "unet", model), DICE)

    write_run(store, images(1, 0.5, 0), model="miniseg", fold=1)
    refused(compared("miniseg"), "fold 1 with seed 0", "folds 1, 2 with seeds 0, 1", "--folds")
    fill(store, "raiunet", 0.5, 0, fold_hash="9" * 64)
    refused(compared("raiunet"), "fold 1 does not hold the same images")
    for fold in (1, 2):
        for seed in (0, 1):
            dice = {name.replace("a-1", "a-9"): each for name, each in images(fold, 0.5, 0).items()}
            write_run(store, dice, model="espnet", fold=fold, seed=seed)
    refused(compared("espnet"), "not scored on the same images", "1a-1, 1a-9")
    fill(store, "dfn", 0.5, 0, data_hash="e" * 64)
    refused(compared("dfn"), "share no data and protocol", "unet under phantom, smoke")
    refused(
        lambda: pair_tables(*two_rows(places(store), "unet", "enet"), metric_named("hd95_mm")),
        "no hd95_mm",
        "hd95_px",
    )


def test_an_altered_run_is_named_where_it_is_missing(store: Store) -> None:
    path = min((store.root / "enet").rglob(CASES))
    path.write_text(path.read_text(encoding="utf-8").replace("ok,0.", "ok,0.9"), encoding="utf-8")
    sides = two_rows(places(store), "unet", "enet")
    refused(lambda: pair_tables(*sides, DICE), "can't be paired", path.parent.name, "SHA-256")
    means, _ = pair_tables(*two_rows(places(store), "unet", "cgnet"), DICE)
    assert not any("Left out" in note for note in means.notes)  # no run of theirs


def test_seeds_can_be_drawn_where_there_are_two(store: Store) -> None:
    fixed, _ = pair_tables(*two_rows(places(store), "unet", "enet"), DICE)
    free, _ = pair_tables(*two_rows(places(store), "unet", "enet"), DICE, resample_seeds=True)
    assert any("new trainings on new patients" in note for note in free.notes)
    assert any("as they were trained" in note for note in fixed.notes)
    one = places_of(read_cases(store.root, lambda spec: spec.seed == 0), store.root)
    refused(
        lambda: pair_tables(*two_rows(one, "unet", "enet"), DICE, resample_seeds=True), "one seed"
    )


def test_the_same_row_in_two_stores(store: Store, tmp_path: Path) -> None:
    other = Store(tmp_path / "other")
    fill(other, "unet", 0.65, 100)  # the same ids, other scores: another machine
    fill(other, "dfn", 0.5, 1)
    folders = (store.root, other.root)
    sides = two_stores(places(store), places(other), folders)
    means, difference = pair_tables(*sides, DICE)
    label = f"unet in {store.root} − unet in {other.root}"
    assert cell(difference, label, "difference") == pytest.approx(0.05)
    assert {row.label for row in means.rows} == {f"unet in {folder}" for folder in folders}
    fill(other, "enet", 0.5, 1)
    refused(lambda: two_stores(places(store), places(other), folders), "2 rows", "enet, unet")
    assert two_stores(places(store), places(other), folders, "enet")[0].records
    refused(lambda: two_stores(places(store), places(other), folders, "dfn"), "Unknown row")


def test_ranks_under_two_protocols(store: Store) -> None:
    paper: dict[str, Any] = {"protocol": "miniseg-code", "settings": PAPER.canonical()}
    fill(store, "unet", 0.5, 100, **paper)
    fill(store, "enet", 0.8, 200, **paper)
    fill(store, "cgnet", 0.4, 300, **paper)
    fill(store, "dfn", 0.4, 300, **paper)  # under one of them only
    for protocol in ({}, paper):
        write_run(store, images(1, 0.5, 0), model="miniseg", fold=1, **protocol)
    one, other = two_protocols(places(store), "smoke", "miniseg-code")
    table = ranking_table(one, other, DICE)
    assert table.rows[0].label == "unet"
    assert {row.label for row in table.rows} == {"unet", "enet", "cgnet"}
    ranks = [
        (cell(table, "unet", key), cell(table, "enet", key))
        for key in ("rank_first", "rank_second")
    ]
    assert ranks[0][0] == 1
    assert ranks[1] == (2, 1)
    assert cell(table, "unet", "moved") == -1
    assert cell(table, "unet", "difference") == pytest.approx(-0.2)
    assert "unet from 1 to 2" in table.caption
    assert "3 networks over 8 patients" in table.caption
    assert any(note.startswith("miniseg is left out of the ranking") for note in table.notes)
    assert any("optim.epochs" in note for note in table.notes)
    sides = protocol_sides(one, other, "unet")
    means = scores_of(sides, DICE).values.mean(axis=(1, 2))
    assert means == pytest.approx([cell(table, "unet", "first"), cell(table, "unet", "second")])
    tau = stats.kendalltau(
        *([cell(table, row.label, key) for row in table.rows] for key in ("first", "second"))
    )
    assert f"Kendall's tau of the two orders is {tau.statistic:.2f}" in table.caption
    refused(lambda: protocol_sides(one, other, "dfn"), "no runs under smoke", "unet")
    refused(lambda: two_protocols(places(store), "smoke", "smoke"), "not two protocols")
    refused(lambda: two_rows(places(store), "unet", "enet"), "several comparisons", "--protocol")


def test_p_values_are_shown_with_their_sign() -> None:
    assert [p_text(p) for p in (0.0004, 0.0126, 1.0)] == ["< 0.001", "= 0.013", "= 1.000"]
