"""Folds: deterministic, complete, groups whole where promised, leaks told where not."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.datasets.cases import Case
from benchmark.datasets.folds import (
    Fold,
    hold_out,
    inner_folds,
    make_folds,
    sources_of,
)
from benchmark.datasets.lists import fold_list
from zoo.errors import CovbenchError


@dataclass(frozen=True)
class Split:
    kind: str = "folds"
    folds: int = 5
    train_fraction: float = 0.6
    draws: int = 5
    seed: int = 0
    test_by: str = "all"
    balance: str = "none"


@dataclass(frozen=True)
class FromSource(Case):
    source: str = ""


def slices_of(sizes: list[int]) -> list[Case]:
    """Group g has sizes[g] slices."""
    return [
        Case(f"{group:02d}-{k}", f"g{group:02d}", 8, 8, None)
        for group, size in enumerate(sizes)
        for k in range(size)
    ]


def folds_of(sizes: list[int], split: Split, pixels: list[int] | None = None) -> tuple[Fold, ...]:
    cases = slices_of(sizes)
    return make_folds(cases, pixels or [1] * len(cases), split, groups_known="all")


@given(st.lists(st.integers(1, 9), min_size=5, max_size=20), st.integers(0, 5))
def test_grouped_folds_test_every_slice_once_and_split_no_group(sizes: list[int], seed: int):
    folds = folds_of(sizes, Split(seed=seed))
    assert sorted(i for fold in folds for i in fold.test) == list(range(sum(sizes)))
    for fold in folds:
        assert fold.test and fold.train
        assert sorted((*fold.train, *fold.test)) == list(range(sum(sizes)))
        assert fold.groups_disjoint and fold.shared_groups == ()


def test_grouped_folds_balance_slices_and_infection():
    # Twenty equal groups, half of them ten times as infected.
    pixels = [1000 if group % 2 else 100 for group in range(20) for _ in range(5)]
    folds = folds_of([5] * 20, Split(), pixels)
    assert [len(fold.test) for fold in folds] == [20] * 5
    infected = [sum(pixels[i] for i in fold.test) for fold in folds]
    assert max(infected) == min(infected)


def test_the_seed_decides_and_repeats():
    one, again, other = (folds_of([3] * 12, Split(seed=seed)) for seed in (1, 1, 2))
    assert one == again
    assert [fold.hash for fold in one] != [fold.hash for fold in other]


def test_folds_are_the_same_on_every_machine():
    folds = folds_of([2, 1, 3, 2, 1, 2], Split(folds=3))
    assert [fold.test for fold in folds] == [(0, 1, 8, 9, 10), (3, 4, 5), (2, 6, 7)]
    draw = folds_of([1] * 10, Split(kind="random", draws=1))[0]
    assert draw.test == (2, 4, 7, 9)


def test_more_folds_than_groups_is_refused():
    with pytest.raises(CovbenchError, match="5 folds can't be made of 3 groups") as error:
        folds_of([4, 4, 4], Split())
    assert "from 2 to 3" in error.value.remedy
    with pytest.raises(CovbenchError, match="1 groups"):
        folds_of([4], Split())


def test_random_draws_take_the_share_and_tell_of_shared_groups():
    draws = folds_of([5] * 10, Split(kind="random"))
    assert [fold.number for fold in draws] == [1, 2, 3, 4, 5]
    assert all(len(fold.train) == 30 and len(fold.test) == 20 for fold in draws)
    assert len({fold.hash for fold in draws}) == 5
    for fold in draws:
        assert not set(fold.train) & set(fold.test)
        train, test = ({i // 5 for i in side} for side in (fold.train, fold.test))
        assert fold.shared_groups == tuple(f"g{g:02d}" for g in sorted(train & test))
        assert not fold.groups_disjoint


def test_random_draws_of_lone_slices_share_nothing():
    for fold in folds_of([1] * 10, Split(kind="random")):
        assert fold.groups_disjoint and fold.shared_groups == ()


def test_the_seed_of_a_draw_is_the_seed_plus_its_number():
    first = folds_of([1] * 30, Split(kind="random", seed=0, draws=2))
    second = folds_of([1] * 30, Split(kind="random", seed=1, draws=1))
    assert first[1].train == second[0].train


@pytest.mark.parametrize("fraction", [0.0, 1.0])
def test_a_draw_with_an_empty_side_is_refused(fraction: float):
    with pytest.raises(CovbenchError, match="one side"):
        folds_of([1] * 10, Split(kind="random", train_fraction=fraction))


def test_unknown_groups_prove_nothing():
    cases = slices_of([1] * 10)
    for known in ("some", "none"):
        for fold in make_folds(cases, [1] * 10, Split(), groups_known=known):
            assert not fold.groups_disjoint


def test_a_fold_hash_covers_both_sides_by_id():
    fold = folds_of([1, 1], Split(folds=2))[0]
    train, test = (f"{side[0]:02d}-0" for side in (fold.train, fold.test))
    text = f'{{"test":["{test}"],"train":["{train}"]}}'
    assert fold.hash == hashlib.sha256(text.encode()).hexdigest()


def test_the_authors_folds_of_ct100():
    shipped = fold_list("ct100")
    cases = [Case(f"{i:04d}", f"s{i}", 512, 512, None) for i in range(100)]
    folds = make_folds(cases, shipped.areas, Split(), groups_known="some", shipped=shipped)
    assert [(len(fold.train), len(fold.test)) for fold in folds] == [(79, 20)] * 4 + [(80, 19)]
    for fold in folds:
        assert 48 not in fold.train and 48 not in fold.test
        assert not set(fold.train) & set(fold.test)
        assert not fold.groups_disjoint
    assert sum(shipped.areas[i] for i in folds[0].test) == 295_654
    assert sum(shipped.areas) / (100 * 512 * 512) == pytest.approx(0.06943, abs=1e-5)
    assert (shipped.areas[22], shipped.areas[48]) == (203, 0)


def test_a_list_that_does_not_ship_is_named():
    with pytest.raises(CovbenchError, match="'nowhere'"):
        fold_list("nowhere")


# --- the training part of a fold, cut again ------------------------------------------------------


def test_inner_folds_part_the_training_slices_by_group() -> None:
    cases = [Case(f"{g}-{k}", f"g{g}", 8, 8, None) for g in range(7) for k in range(3)]
    foreground = [10 + i for i in range(len(cases))]
    split = Split(folds=2)
    outer = make_folds(cases, foreground, split, groups_known="all")[0]
    inner = inner_folds(cases, foreground, outer, split, 3, groups_known="all")
    assert [fold.number for fold in inner] == [1, 2, 3]
    tested = [i for fold in inner for i in fold.test]
    assert sorted(tested) == list(outer.train)
    for fold in inner:
        assert set(fold.train) | set(fold.test) == set(outer.train)
        assert not set(fold.train) & set(fold.test)
        assert fold.groups_disjoint
    assert len({fold.hash for fold in inner} | {outer.hash}) == 4


def test_inner_folds_of_a_split_by_slice_are_by_slice() -> None:
    cases = [Case(f"{k}", "one patient", 8, 8, None) for k in range(20)]
    split = Split(kind="random", train_fraction=0.7, draws=1)
    outer = make_folds(cases, [1] * 20, split, groups_known="all")[0]
    inner = inner_folds(cases, [1] * 20, outer, split, 3, groups_known="all")
    assert sorted(len(fold.test) for fold in inner) == [4, 5, 5]
    assert sorted(i for fold in inner for i in fold.test) == list(outer.train)


def test_too_few_groups_for_inner_folds() -> None:
    cases = [Case(f"{g}", f"g{g}", 8, 8, None) for g in range(4)]
    split = Split(folds=2)
    outer = make_folds(cases, [1] * 4, split, groups_known="all")[0]
    with pytest.raises(CovbenchError, match="3 inner folds") as raised:
        inner_folds(cases, [1] * 4, outer, split, 3, groups_known="all")
    assert "--inner-folds 2" in raised.value.remedy


# --- sources -----------------------------------------------------------------------------------


def joined(**counts: int) -> list[Case]:
    """Slices of several sources, two a patient, sources in turn as far as they reach."""
    return [
        FromSource(f"{source}-{k:03d}", f"{source}-p{k // 2}", 8, 8, None, source=source)
        for k in range(max(counts.values()))
        for source, count in counts.items()
        if k < count
    ]


def drawn(cases: list[Case], **split: object) -> tuple[Fold, ...]:
    rule = Split(kind="random", train_fraction=0.7, **split)  # type: ignore[arg-type]
    return make_folds(cases, [1] * len(cases), rule, groups_known="all")


def counted(cases: list[Case], indices: tuple[int, ...]) -> dict[str, int]:
    return {source: len(own) for source, own in sources_of(cases, indices).items()}


def test_a_draw_by_source_tests_the_same_share_of_each():
    cases = joined(large=40, small=10)
    for fold in drawn(cases, test_by="source"):
        assert counted(cases, fold.train) == {"large": 28, "small": 7}
        assert counted(cases, fold.test) == {"large": 12, "small": 3}
        assert sorted((*fold.train, *fold.test)) == list(range(50))


def test_balanced_sources_train_with_as_many_as_the_smallest_one_has():
    cases = joined(large=40, middle=20, small=10)
    plain = drawn(cases, test_by="source")
    for fold, whole in zip(drawn(cases, test_by="source", balance="sources"), plain, strict=True):
        assert counted(cases, fold.train) == {"large": 7, "middle": 7, "small": 7}
        assert set(fold.train) < set(whole.train)
        assert fold.test == whole.test
        assert fold.hash != whole.hash


def test_balance_is_of_the_training_part_alone_where_all_slices_are_drawn_together():
    cases = joined(large=40, small=10)
    for fold, whole in zip(drawn(cases, balance="sources"), drawn(cases), strict=True):
        least = counted(cases, whole.train)["small"]
        assert counted(cases, fold.train) == {"large": least, "small": least}
        assert fold.test == whole.test


def test_folds_by_patient_can_be_balanced_too():
    cases = joined(large=40, small=20)
    split = Split(folds=5, balance="sources")
    for fold in make_folds(cases, [1] * 60, split, groups_known="all"):
        sizes = counted(cases, fold.train)
        assert sizes["large"] == sizes["small"] > 10
        assert fold.groups_disjoint


def test_one_source_is_drawn_as_ever():
    for cases in (slices_of([1] * 30), joined(only=30)):
        assert drawn(cases, test_by="source", balance="sources") == drawn(cases)


def test_the_smallest_source_needs_a_slice_on_both_sides():
    with pytest.raises(CovbenchError, match="one side of 1 slices"):
        drawn(joined(large=10, tiny=1), test_by="source")


# --- holding out -------------------------------------------------------------------------------

CASES = slices_of([3] * 10)
TRAIN = tuple(range(24))  # the last two groups test


def test_slices_held_out_are_the_share_and_the_rest_stays():
    stays, held = hold_out(CASES, TRAIN, 0.1, by="slice", seed=0)
    assert len(held) == 2
    assert sorted((*stays, *held)) == list(TRAIN)
    assert list(stays) == sorted(stays) and list(held) == sorted(held)


def test_groups_are_held_out_whole():
    stays, held = hold_out(CASES, TRAIN, 0.2, by="group", seed=0)
    sides = [{CASES[i].group for i in side} for side in (stays, held)]
    assert len(held) == 6 and not sides[0] & sides[1]  # 4.8 slices, in groups of three


def test_what_is_held_out_follows_from_seed_and_ids_alone():
    for by in ("slice", "group"):
        first = hold_out(CASES, TRAIN, 0.3, by=by, seed=0)
        shuffled = hold_out(CASES, TRAIN[::-1], 0.3, by=by, seed=0)
        assert first == shuffled
        assert {hold_out(CASES, TRAIN, 0.3, by=by, seed=seed)[1] for seed in range(5)} > {first[1]}
    order = sorted(
        TRAIN, key=lambda i: hashlib.sha256(f"0:validation:{CASES[i].id}".encode()).hexdigest()
    )
    assert hold_out(CASES, TRAIN, 0.1, by="slice", seed=0)[1] == tuple(sorted(order[:2])) == (0, 22)


def test_one_slice_or_group_at_least_is_held_out_and_one_stays():
    assert [len(side) for side in hold_out(CASES, (0, 1), 0.01, by="slice", seed=0)] == [1, 1]
    assert [len(side) for side in hold_out(CASES, range(6), 0.99, by="group", seed=0)] == [3, 3]


@pytest.mark.parametrize(("by", "train"), [("slice", (0,)), ("group", (0, 1, 2))])
def test_nothing_can_be_held_out_of_one(by: str, train: tuple[int, ...]):
    with pytest.raises(CovbenchError, match=f"one training {by}") as error:
        hold_out(CASES, train, 0.1, by=by, seed=0)
    assert "stop.early=false" in error.value.remedy
