from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_erosion, gaussian_filter

from benchmark.metrics import SurfaceDistances, surface_distances

Spacing = tuple[float, float] | None
grids = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))
spacings = st.none() | st.tuples(st.floats(0.3, 3), st.floats(0.3, 3))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two small masks of one shape, neither of them empty."""
    a = draw(grids)
    b = draw(arrays(np.bool_, a.shape))
    assume(a.any() and b.any())
    return a, b


def as_tuple(found: SurfaceDistances) -> tuple[float, float, float]:
    return found.hausdorff, found.hd95, found.assd


def nearest(a: np.ndarray, b: np.ndarray, spacing: Spacing) -> np.ndarray:
    """Every point's distance to the other mask, both ways, from all pairs of points."""
    step = np.array(spacing or (1.0, 1.0))
    gaps = (np.argwhere(a) * step)[:, None] - (np.argwhere(b) * step)[None]
    table = np.sqrt((gaps**2).sum(-1))
    return np.concatenate([table.min(1), table.min(0)])


def by_brute_force(
    a: np.ndarray, b: np.ndarray, spacing: Spacing, points: str
) -> tuple[float, float, float]:
    """The definitions, written down with another library and every pair of points."""
    edges = [mask & ~binary_erosion(mask, border_value=0) for mask in (a, b)]
    between = nearest(edges[0], edges[1], spacing)
    furthest = between if points == "border" else nearest(a, b, spacing)
    return float(furthest.max()), float(np.percentile(between, 95)), float(between.mean())


def random_mask(rng: np.random.Generator, height: int, width: int, kind: int) -> np.ndarray:
    """Noise, blobs, a box on the edge, one pixel, or everything."""
    mask = np.zeros((height, width), bool)
    if kind == 0:
        mask = rng.random((height, width)) < rng.uniform(0.01, 0.9)
    elif kind == 1:
        noise = gaussian_filter(rng.standard_normal((height, width)), rng.uniform(1, 6))
        mask = noise > np.quantile(noise, rng.uniform(0.3, 0.99))
    elif kind == 2:
        mask[: rng.integers(1, height), rng.integers(0, width) :] = True
    elif kind == 4:
        mask[:] = True
    if not mask.any():
        mask[rng.integers(height), rng.integers(width)] = True
    return mask


def random_pairs(count: int) -> Iterator[tuple[np.ndarray, np.ndarray, Spacing]]:
    rng = np.random.default_rng(20)
    for i in range(count):
        height, width = rng.integers(24, 97, 2)
        a = random_mask(rng, height, width, i % 5)
        b = random_mask(rng, height, width, i // 5 % 5)
        spacing = (float(rng.uniform(0.4, 2)), float(rng.uniform(0.4, 2))) if i % 3 == 2 else None
        yield a, b, spacing


def test_a_case_measured_by_hand() -> None:
    pred, truth = np.zeros((6, 6), bool), np.zeros((6, 6), bool)
    pred[0, 0] = True
    truth[3, :5] = True
    ways = [3.0, 3.0, math.sqrt(10), math.sqrt(13), math.sqrt(18), 5.0]
    found = surface_distances(pred, truth)
    assert found.hausdorff == 5
    # One list: the mean of the two directed means would be 3.40, the larger percentile 4.85.
    assert found.assd == pytest.approx(sum(ways) / 6)
    assert found.hd95 == pytest.approx(np.percentile(ways, 95))


def test_the_edge_of_the_image_is_surface() -> None:
    full, ring = np.ones((7, 7), bool), np.ones((7, 7), bool)
    ring[1:-1, 1:-1] = False
    assert as_tuple(surface_distances(full, ring)) == (0, 0, 0)


def test_corners_need_four_neighbours_to_be_inside() -> None:
    plus = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], bool)
    centre = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]], bool)
    # The middle of the plus is not on its border: 1 px both ways, four times and once.
    assert as_tuple(surface_distances(plus, centre)) == (1, 1, 1)


def test_spacing_is_down_then_across() -> None:
    a, b = np.zeros((5, 5), bool), np.zeros((5, 5), bool)
    a[0, 0] = b[3, 0] = True
    assert surface_distances(a, b, (0.5, 7.0)).hausdorff == pytest.approx(1.5)
    assert surface_distances(a.T, b.T, (0.5, 7.0)).hausdorff == pytest.approx(21)


def test_foreground_points_change_only_the_hausdorff_distance() -> None:
    full, ring = np.ones((9, 9), bool), np.ones((9, 9), bool)
    ring[1:-1, 1:-1] = False
    assert as_tuple(surface_distances(full, ring, points="foreground")) == (4, 0, 0)


@given(pairs(), spacings, st.sampled_from(["border", "foreground"]))
def test_equal_to_the_definition(
    pair: tuple[np.ndarray, np.ndarray], spacing: Spacing, points: str
) -> None:
    found = surface_distances(*pair, spacing, points)
    assert as_tuple(found) == pytest.approx(by_brute_force(*pair, spacing, points), abs=1e-9)


@given(pairs(), spacings, st.sampled_from(["border", "foreground"]))
def test_symmetric_ordered_and_zero_on_itself(
    pair: tuple[np.ndarray, np.ndarray], spacing: Spacing, points: str
) -> None:
    a, b = pair
    found = surface_distances(a, b, spacing, points)
    assert as_tuple(found) == pytest.approx(as_tuple(surface_distances(b, a, spacing, points)))
    assert found.assd >= 0 and found.hd95 >= 0
    if points == "border":
        assert max(found.hd95, found.assd) <= found.hausdorff + 1e-12
    assert as_tuple(surface_distances(a, a, spacing, points)) == (0, 0, 0)


@given(pairs(), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_background_around_changes_nothing(
    pair: tuple[np.ndarray, np.ndarray], top: int, bottom: int, left: int, right: int
) -> None:
    wide = [np.pad(mask, ((top, bottom), (left, right))) for mask in pair]
    assert surface_distances(*wide) == surface_distances(*pair)


@given(pairs(), st.floats(0.1, 5))
def test_square_pixels_only_scale(pair: tuple[np.ndarray, np.ndarray], step: float) -> None:
    scaled = surface_distances(*pair).scaled(step)
    direct = surface_distances(*pair, (step, step))
    assert as_tuple(scaled) == pytest.approx(as_tuple(direct), abs=1e-9)


@given(pairs(), spacings)
@settings(max_examples=40)
def test_turning_both_masks_turns_nothing(
    pair: tuple[np.ndarray, np.ndarray], spacing: Spacing
) -> None:
    turned = surface_distances(pair[0].T, pair[1].T, spacing[::-1] if spacing else None)
    assert as_tuple(turned) == pytest.approx(as_tuple(surface_distances(*pair, spacing)), abs=1e-9)


@pytest.mark.parametrize("side", [1000, 2100])
def test_large_images_stay_exact(side: int) -> None:
    # 2100 px lies beyond what single precision can hold: (2099, 2097) would come out rounded.
    a, b = np.zeros((side, side), bool), np.zeros((side, side), bool)
    a[0, 0] = True
    b[side - 1, side - 3] = True
    expected = math.hypot(side - 1, side - 3)
    assert as_tuple(surface_distances(a, b)) == pytest.approx((expected,) * 3, abs=1e-9)


def test_equal_to_medpy_on_500_random_pairs() -> None:
    medpy = pytest.importorskip("medpy.metric.binary")
    for a, b, spacing in random_pairs(500):
        expected = (medpy.hd(a, b, spacing), medpy.hd95(a, b, spacing), medpy.assd(a, b, spacing))
        assert as_tuple(surface_distances(a, b, spacing)) == pytest.approx(expected, abs=1e-6)


def test_foreground_points_equal_the_filter_of_itk() -> None:
    sitk = pytest.importorskip("SimpleITK")
    for a, b, spacing in random_pairs(150):
        images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (a, b)]
        for image in images:
            image.SetSpacing((spacing or (1.0, 1.0))[::-1])  # ITK names the columns' axis first
        itk = sitk.HausdorffDistanceImageFilter()
        itk.Execute(*images)
        found = surface_distances(a, b, spacing, points="foreground").hausdorff
        assert found == pytest.approx(itk.GetHausdorffDistance(), abs=1e-4)  # ITK: float32


def test_empty_masks_are_the_callers_business() -> None:
    empty, some = np.zeros((4, 4), bool), np.eye(4, dtype=bool)
    for pair in ((empty, some), (some, empty), (empty, empty)):
        with pytest.raises(ValueError, match="empty"):
            surface_distances(*pair)


def test_what_does_not_fit_is_refused() -> None:
    mask = np.ones((4, 5), bool)
    with pytest.raises(ValueError, match="one shape"):
        surface_distances(mask, mask.T)
    with pytest.raises(ValueError, match="2-D"):
        surface_distances(mask[None], mask[None])
    with pytest.raises(ValueError, match="bool"):
        surface_distances(mask.astype(np.uint8), mask)
    for spacing in ((0.0, 1.0), (1.0, -1.0), (math.nan, 1.0), (math.inf, 1.0), (1.0,)):
        with pytest.raises(ValueError, match="spacing"):
            surface_distances(mask, mask, spacing)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="points"):
        surface_distances(mask, mask, points="mesh")


def test_strided_views_are_measured_like_copies() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 20, 30)) < 0.2
    for view in (np.s_[::-1, ::2], np.s_[3:, 1::3]):
        assert surface_distances(a[view], b[view]) == surface_distances(
            a[view].copy(), b[view].copy()
        )
    assert surface_distances(np.asfortranarray(a), b) == surface_distances(a, b)


def test_the_benchmark_against_medpy_runs() -> None:
    pytest.importorskip("medpy")
    script = Path(__file__).parents[2] / "bench" / "surface.py"
    spec = importlib.util.spec_from_file_location("bench_surface", script)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    result = module.run(pairs=1, rounds=1)
    assert result["max_difference"] <= 1e-6
    assert result["ratio"] == pytest.approx(result["medpy_ms"] / result["covbench_ms"])
