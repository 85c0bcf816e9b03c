from __future__ import annotations

import io
from pathlib import Path

import matplotlib.figure
import numpy as np
import pytest
import torch

from benchmark.datasets import prepare_dataset
from reports.figures.spectral import (
    caption,
    draw,
    enlarged,
    max_pooled,
    mean_error,
    phantom_slice,
    spectral_pooled,
)
from tests.reports.figures import kept_figures
from zoo.errors import CovbenchError
from zoo.spectral import spectral_pool

STEPS = np.arange(16.0).reshape(4, 4)


def drawn(image: np.ndarray | None, *factors: int) -> matplotlib.figure.Figure:
    with kept_figures() as figures:
        draw(image, factors)("png")(io.BytesIO())
    return figures[0]


def test_max_pooling_by_hand() -> None:
    assert max_pooled(STEPS, 2).tolist() == [[5, 7], [13, 15]]
    assert max_pooled(STEPS, 4).tolist() == [[15]]


def test_spectral_pooling_is_that_of_the_networks() -> None:
    image = np.random.default_rng(0).uniform(0, 255, (16, 24))
    theirs = spectral_pool(torch.from_numpy(image), (4, 6)).numpy()
    np.testing.assert_allclose(spectral_pooled(image, 4), theirs, atol=1e-9)
    np.testing.assert_allclose(spectral_pooled(image, 8).mean(), image.mean())


def test_the_error_is_of_the_picture_that_is_shown() -> None:
    shown = enlarged(max_pooled(STEPS, 2), 2)
    assert shown.tolist() == [[5, 5, 7, 7]] * 2 + [[13, 13, 15, 15]] * 2
    # In each square the maximum is 5, 4, 1 and 0 above its four values.
    assert mean_error(shown, STEPS) == 2.5
    # Down to the mean, 7.5: twice 0.5 + 1.5 + ... + 7.5, over 16.
    assert mean_error(enlarged(spectral_pooled(STEPS, 4), 4), STEPS) == pytest.approx(4.0)


def test_what_is_drawn() -> None:
    image = np.tile(STEPS, (2, 2))
    figure = drawn(image, 2, 4)
    shown = [axis for axis in figure.axes if axis.get_visible()]
    titles = [axis.get_title() for axis in shown]
    assert sorted(titles) == ["", "", "1/2", "1/4", "original"]
    below = {axis.get_xlabel() for axis in shown}
    assert {"8 × 8", "error 2.5", "error 7.5"} <= below
    for axis in shown:
        assert axis.images[0].get_array().shape == (8, 8)
        assert axis.images[0].get_clim() == (0, 15)


def test_what_no_factor_divides_is_cut_off() -> None:
    figure = drawn(np.arange(110.0).reshape(10, 11), 2, 4)
    assert all(axis.images[0].get_array().shape == (8, 8) for axis in figure.axes if axis.images)
    assert "8 × 8 pixels" in caption(np.zeros((10, 11)), (2, 4))


@pytest.mark.parametrize("shape", [(63, 64), (64, 64, 3)])
def test_an_image_that_is_too_small_or_coloured_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(CovbenchError, match="can't be pooled by 64"):
        draw(np.zeros(shape))


def test_the_image_by_default_is_a_slice_of_the_phantom(tmp_path: Path) -> None:
    dataset = prepare_dataset("phantom", root=tmp_path, patients=2, slices=1)
    assert (phantom_slice() == dataset.image(0)).all()
    assert caption().startswith("A slice of the phantom of 256 × 256 pixels")
    assert "divided by 2, 8, 16 and 64" in caption()


def test_the_same_image_gives_the_same_files() -> None:
    for kind in ("png", "pdf", "svg"):
        files = []
        for _ in range(2):
            file = io.BytesIO()
            draw(np.tile(STEPS, (4, 4)), (2, 8))(kind)(file)
            files.append(file.getvalue())
        assert files[0] == files[1]
