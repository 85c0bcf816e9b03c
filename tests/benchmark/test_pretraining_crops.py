"""What an encoder is shown of an image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image

from benchmark.draws import uniform
from benchmark.pretraining import load_recipe
from benchmark.pretraining.crops import (
    middle_crop,
    order,
    random_box,
    steps_per_epoch,
    to_input,
    training_crop,
)

RULE = load_recipe("imagenet", ["size=32", "resize=40"]).input


def ramp(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([across, down, across], axis=2).astype(np.uint8))


def test_a_box_by_hand() -> None:
    draws = np.zeros(23)
    draws[0] = (0.25 - 0.08) / 0.92  # a quarter of the area
    draws[1] = 0.5  # in the middle of the ratios' logarithms: a square
    draws[20], draws[21] = 0.5, 0.999
    assert random_box(RULE, 100, 100, draws) == (25, 50, 75, 100)  # of 51 places: 25 and 50


def test_boxes_have_the_share_and_shape_that_are_asked_for() -> None:
    shares, ratios = [], []
    for image in range(400):
        left, top, right, bottom = random_box(RULE, 300, 300, uniform(99, 0, image, count=23))
        assert 0 <= left < right <= 300 and 0 <= top < bottom <= 300
        shares.append((right - left) * (bottom - top) / 90_000)
        ratios.append((right - left) / (bottom - top))
    assert 0.078 < min(shares) < 0.12
    assert 0.85 < max(shares) <= 1
    assert 0.74 < min(ratios) < max(ratios) < 1.36
    assert 0.45 < np.mean(np.array(ratios) < 1) < 0.55


def test_an_image_of_a_shape_that_no_box_fits_gives_its_middle() -> None:
    whole = RULE.model_copy(update={"area": (1.0, 1.0)})
    draws = uniform(99, 0, 0, count=23)
    assert random_box(whole, 400, 100, draws) == (133, 0, 266, 100)  # 4:3 of the height
    assert random_box(whole, 100, 400, draws) == (0, 133, 100, 266)  # 3:4 of the width
    assert random_box(whole, 1, 1000, draws) == (0, 499, 1, 500)


def test_training_crops_follow_from_seed_epoch_and_image() -> None:
    picture = ramp(60, 50)
    first = training_crop(picture, RULE, 0, 0, 7)
    assert first.shape == (3, 32, 32) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, training_crop(picture, RULE, 0, 0, 7))
    for place in ((1, 0, 7), (0, 1, 7), (0, 0, 8)):
        assert (training_crop(picture, RULE, *place) != first).any()


@pytest.mark.parametrize(("hflip", "rises"), [(0.0, True), (1.0, False)])
def test_mirrored_or_not(hflip: float, rises: bool) -> None:
    crop = training_crop(ramp(60, 50), RULE.model_copy(update={"hflip": hflip}), 0, 0, 0)
    assert (crop[0, 0, -1] > crop[0, 0, 0]) == rises
    assert crop[1, -1, 0] > crop[1, 0, 0]


def test_the_middle_of_an_image() -> None:
    # The shorter side of 80 would become 40, of which 32: 64 pixels of 80, and as many across.
    picture = Image.new("RGB", (200, 80))
    picture.paste((255, 255, 255), (68, 8, 132, 72))
    found = middle_crop(picture, RULE)  # its outermost pixels blend with what is outside
    assert found.shape == (3, 32, 32)
    assert (found[:, 1:-1, 1:-1] == 255).all() and (found[:, 0] < 255).all()


def test_the_order_of_an_epoch() -> None:
    recipe = load_recipe("imagenet", ["batch=4"])
    epoch = list(order(recipe, 0, 10))
    assert [len(rows) for rows in epoch] == [4, 4] and steps_per_epoch(recipe, 10) == 2
    assert len(set(np.concatenate(epoch).tolist())) == 8
    assert not np.array_equal(epoch[0], next(order(recipe, 1, 10)))
    whole = load_recipe("imagenet", ["batch=4", "drop_last=false"])
    assert sorted(np.concatenate(list(order(whole, 0, 10))).tolist()) == list(range(10))
    assert [len(rows) for rows in order(recipe, 0, 3)] == [3]


def test_input_is_normalised_per_channel() -> None:
    pictures = torch.tensor([0, 255, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    found = to_input(pictures, RULE).flatten().tolist()
    expected = [-0.485 / 0.229, (1 - 0.456) / 0.224, (0.2 - 0.406) / 0.225]
    assert all(math.isclose(a, b, rel_tol=1e-5) for a, b in zip(found, expected, strict=True))
    plain = to_input(pictures, RULE.model_copy(update={"normalise": "unit"}))
    assert torch.allclose(plain.flatten(), torch.tensor([0.0, 1.0, 0.2]))
