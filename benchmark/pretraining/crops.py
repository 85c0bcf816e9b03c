"""What an encoder is shown of an image: a random part in training, the middle in validation.

Every draw follows from (seed, epoch, image) alone, as in the training of networks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmark.bank import IMAGENET_MEAN, IMAGENET_STD
from benchmark.draws import shuffled, uniform
from benchmark.pretraining.recipe import InputRule, Recipe

# What a generator is for; the purposes of `benchmark.augment` are others.
_ORDER, _CROP = 11, 12

_TRIES = 10

Box = tuple[float, float, float, float]


def scale_of(rule: InputRule) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation per channel that values in 0..1 are normalised by."""
    if rule.normalise == "imagenet":
        return IMAGENET_MEAN, IMAGENET_STD
    return (0.0,) * 3, (1.0,) * 3


def steps_per_epoch(recipe: Recipe, images: int) -> int:
    """Training steps of one epoch."""
    full = images // recipe.optim.batch
    dropped = recipe.optim.drop_last and full > 0
    return full if dropped else -(-images // recipe.optim.batch)


def order(recipe: Recipe, epoch: int, images: int) -> Iterator[np.ndarray]:
    """The images of each step of an epoch, every image once, shuffled anew in each.

    Args:
        recipe: `optim` and `run.seed` are used.
        epoch: Number of the epoch, from 0.
        images: How many there are.

    Yields:
        Positions of the images, int64.
    """
    places = shuffled(_ORDER, recipe.run.seed, epoch, count=images)
    batch = recipe.optim.batch
    for step in range(steps_per_epoch(recipe, images)):
        yield places[step * batch : (step + 1) * batch]


def training_crop(
    picture: Image.Image, rule: InputRule, seed: int, epoch: int, image: int
) -> np.ndarray:
    """A random part of an image.

    Args:
        picture: Of mode RGB.
        rule: Sizes and ranges.
        seed: Seed of the pretraining.
        epoch: Number of the epoch.
        image: The image's position.

    Returns:
        (3, size, size) uint8.
    """
    draws = uniform(_CROP, seed, epoch, image, count=2 * _TRIES + 3)
    values = _stretch(picture, random_box(rule, *picture.size, draws), rule.size)
    return values[:, :, ::-1] if draws[-1] < rule.hflip else values


def middle_crop(picture: Image.Image, rule: InputRule) -> np.ndarray:
    """The middle of an image, (3, size, size) uint8."""
    width, height = picture.size
    side = min(width, height) * rule.size / rule.resize
    left, top = (width - side) / 2, (height - side) / 2
    return _stretch(picture, (left, top, left + side, top + side), rule.size)


def random_box(rule: InputRule, width: int, height: int, draws: np.ndarray) -> Box:
    """A part of an image with a random share of its area, of a random shape, at a random place.

    Shapes are tried until one fits into the image, ten times at most; then it is the largest
    middle part whose shape lies in `rule.ratio`.

    Args:
        rule: `area` and `ratio` are used; the ratio is uniform in its logarithm.
        width: Of the image, in pixels.
        height: Likewise.
        draws: 23 numbers in [0, 1); the last is not used here.

    Returns:
        Left, top, right and bottom in whole pixels.
    """
    low, high = (math.log(ratio) for ratio in rule.ratio)
    for share, shape in draws[: 2 * _TRIES].reshape(_TRIES, 2):
        area = width * height * (rule.area[0] + (rule.area[1] - rule.area[0]) * share)
        ratio = math.exp(low + (high - low) * shape)
        wide, tall = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < wide <= width and 0 < tall <= height:
            left = int(draws[2 * _TRIES] * (width - wide + 1))
            top = int(draws[2 * _TRIES + 1] * (height - tall + 1))
            return left, top, left + wide, top + tall
    wide = min(width, max(1, round(height * rule.ratio[1])))
    tall = min(height, max(1, round(width / rule.ratio[0])))
    left, top = (width - wide) // 2, (height - tall) // 2
    return left, top, left + wide, top + tall


def to_input(pictures: Tensor, rule: InputRule) -> Tensor:
    """Pictures as an encoder wants them, `(N, 3, size, size)` float32, on their device."""
    mean, std = (pictures.new_tensor(each, dtype=torch.float32) for each in scale_of(rule))
    return (pictures.float() / 255 - mean[:, None, None]) / std[:, None, None]


def _stretch(picture: Image.Image, box: Box, size: int) -> np.ndarray:
    scaled = picture.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.asarray(scaled).transpose(2, 0, 1)
