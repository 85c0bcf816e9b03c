"""Which lung is which, and how much of it is infected: small pictures, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.involvement import body_midline, involvement, right_and_left


def drawn(*rows: str) -> np.ndarray:
    """A slice: r and l the lungs, R and L infected lung, x infected elsewhere, # tissue."""
    return np.array([list(row) for row in rows])


SLICE = drawn(
    "##########",
    "#rrr##lll#",
    "#rRr##lLL#",
    "#rrr##lll#",
    "####xx####",
)


def masks(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lungs = np.isin(picture, list("rlRL")).astype(np.uint8)
    infected = np.isin(picture, list("RLx")).astype(np.uint8)
    return np.where(picture == "#", 200, 20).astype(np.uint8), infected, lungs


def test_shares_and_volumes_by_hand() -> None:
    grey, infected, lungs = (np.stack([each, each]) for each in masks(SLICE))
    right, left, both, everywhere = involvement(grey, infected, lungs, voxel_ml=0.5)
    assert (right.region, right.lung_voxels, right.infected_voxels) == ("right", 18, 2)
    assert (left.region, left.lung_voxels, left.infected_voxels) == ("left", 18, 4)
    assert (both.lung_voxels, both.infected_voxels) == (36, 6)
    assert right.percent == pytest.approx(100 / 9)
    assert left.percent == pytest.approx(200 / 9)
    assert both.percent == pytest.approx(100 / 6)
    assert (right.lung_ml, right.infected_ml, both.lung_ml) == (9.0, 1.0, 18.0)
    assert everywhere.lung_voxels is None and everywhere.percent is None
    assert everywhere.infected_voxels == 10, "with what lies outside the lungs"
    assert everywhere.infected_ml == 5.0


def test_without_lungs_or_lengths_or_lesions_less_is_said() -> None:
    grey, infected, lungs = (each[None] for each in masks(SLICE))
    (only,) = involvement(grey, infected, None)
    assert (only.region, only.infected_voxels, only.infected_ml) == ("everywhere", 5, None)
    parts = involvement(grey, None, lungs, 2.0)
    assert [(part.region, part.lung_ml) for part in parts] == [
        ("right", 18.0),
        ("left", 18.0),
        ("both", 36.0),
    ]
    assert all(part.infected_voxels is None and part.percent is None for part in parts)
    empty = involvement(grey, infected, np.zeros_like(lungs))
    assert [part.percent for part in empty] == [None] * 4, "no lung: no share of it"


def test_a_lung_belongs_to_the_side_that_most_of_it_lies_on() -> None:
    # Columns 1 to 5 and the middle at 5.0: 4 of 5 columns lie before it, fewer than a fifth after.
    lung = np.zeros((4, 10), np.uint8)
    lung[:, 1:5] = 1
    lung[0, 5] = 1
    right, left = right_and_left(lung, 5.0)
    assert right.sum() == 17 and not left.any()
    right, left = right_and_left(lung[:, ::-1].copy(), 5.0)
    assert left.sum() == 17 and not right.any()


def test_lungs_that_touch_are_cut_halfway() -> None:
    lung = np.zeros((4, 12), np.uint8)
    lung[:, 2:10] = 1
    right, left = right_and_left(lung, 5.0)  # 3 columns of 8 before the middle, 5 after
    assert right[:, 2:6].all() and right.sum() == 16
    assert left[:, 6:10].all() and left.sum() == 16
    assert not (right & left).any()


def test_the_midline_halves_the_tissue_of_slices_with_lungs() -> None:
    grey = np.zeros((2, 4, 9), np.uint8)
    grey[0, :, 2:7] = 180
    grey[1, :, 0:3] = 180  # shows no lung
    lungs = np.zeros_like(grey)
    lungs[0, 0, 3] = 1
    assert body_midline(grey, lungs) == 4.5
    assert body_midline(grey, np.zeros_like(lungs)) == 4.5, "the middle of the picture"
    grey[0, :, 2] = 0  # columns 3 to 6
    assert body_midline(grey, lungs) == 5.0
