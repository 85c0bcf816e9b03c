"""Augmentation: every draw depends on (seed, epoch, image) alone; image and mask move alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from benchmark.augment import (
    batch_sizes,
    draw_matrices,
    plan_epoch,
    resample,
    steps_per_epoch,
    total_steps,
)
from benchmark.protocols import AugmentRule, load_protocol

IDENTITY = torch.tensor([[[1.0, 0, 0], [0, 1, 0]]])


def matrix(x: float = 1, y: float = 1, right: float = 0, down: float = 0) -> torch.Tensor:
    return torch.tensor([[[x, 0, right], [0, y, down]]])


def pair(size: int = 64, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Blocky images and masks with the same content: 200 where the label is 1, else 100."""
    noise = np.random.default_rng(size)
    coarse = noise.integers(0, 2, (batch, size // 8, size // 8))
    mask = torch.from_numpy(coarse.repeat(8, 1).repeat(8, 2).astype(np.uint8))
    return mask * 100 + 100, mask


# The order of an epoch


def test_an_epoch_shows_every_image_once_in_an_order_of_its_own():
    protocol = load_protocol("identical")
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0)):
        order = np.concatenate([b.indices for b in plan_epoch(protocol, seed, epoch, 80)])
        assert sorted(order) == list(range(80))
        orders.append(order.tolist())
    assert orders[0] != orders[1]
    assert orders[0] != orders[2]
    again = np.concatenate([b.indices for b in plan_epoch(protocol, 0, 0, 80)])
    assert again.tolist() == orders[0]


def test_order_and_draws_never_change_with_a_release():
    """Golden values: records made earlier would otherwise not be repeatable."""
    protocol = load_protocol("identical", ["batch=10"])
    plan = plan_epoch(protocol, 0, 0, 10)
    assert plan[0].indices.tolist() == [3, 5, 2, 9, 7, 0, 8, 6, 1, 4]
    drawn = draw_matrices(protocol.augment, 0, 0, [0], size=512)
    wanted = matrix(0.6972129344940186, 0.6972129344940186, -0.2548488974571, -0.0709563344717)
    torch.testing.assert_close(drawn, wanted, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    ("n_train", "drop_last", "lengths"),
    [
        (12, True, [5, 5]),
        (12, False, [5, 5, 2]),
        (10, True, [5, 5]),
        (10, False, [5, 5]),
        (3, True, [3]),
        (3, False, [3]),
    ],
)
def test_last_batch_is_dropped_unless_it_is_the_only_one(n_train, drop_last, lengths):
    protocol = load_protocol("identical", {"drop_last": drop_last})
    plan = plan_epoch(protocol, 0, 0, n_train)
    assert [len(b.indices) for b in plan] == lengths
    assert steps_per_epoch(protocol, n_train) == len(lengths)


def test_sequential_passes_go_over_the_whole_fold_at_one_size_after_the_other():
    protocol = load_protocol("miniseg-code")
    plan = plan_epoch(protocol, 0, 3, 79)
    assert len(plan) == steps_per_epoch(protocol, 79) == 4 * 15
    assert [b.size for b in plan] == [768] * 15 + [640] * 15 + [384] * 15 + [512] * 15
    assert [b.factor_index for b in plan] == [b.pass_index for b in plan]
    passes = [np.concatenate([b.indices for b in plan[i : i + 15]]) for i in range(0, 60, 15)]
    assert all(len(set(p)) == 75 for p in passes)
    assert len({tuple(p) for p in passes}) == 4


def test_random_sizes_are_one_per_batch_and_all_occur():
    protocol = load_protocol("miniseg-paper")
    plans = [plan_epoch(protocol, 0, epoch, 60) for epoch in range(20)]
    sizes = [b.size for plan in plans for b in plan]
    assert len(sizes) == 240
    assert set(sizes) == {256, 384, 512, 640, 768}
    assert min(sizes.count(size) for size in set(sizes)) > 20
    sides = batch_sizes(protocol)
    assert all(sides[b.factor_index] == b.size for plan in plans for b in plan)


def test_sizes_are_multiples_of_32_except_factor_one():
    overrides = {"size": 100, "border_crop": 0, "mode": "sizes", "sizes": [0.1, 0.5, 1, 1.3]}
    protocol = load_protocol("identical", overrides)
    assert batch_sizes(protocol) == (32, 64, 100, 128)


def test_steps_of_a_run_end_at_max_steps():
    assert total_steps(load_protocol("identical"), 79) == 1500
    assert total_steps(load_protocol("miniseg-code"), 79) == 80 * 60
    assert total_steps(load_protocol("smoke"), 79) == 16
    assert total_steps(load_protocol("smoke", ["epochs=1"]), 8) == 2


# The draws


def test_a_draw_depends_on_seed_epoch_and_image_alone():
    rule = load_protocol("identical").augment
    together = draw_matrices(rule, 3, 7, np.arange(20), size=512)
    order = np.random.default_rng(0).permutation(20)
    for start in range(0, 20, 4):
        part = order[start : start + 4]
        assert torch.equal(draw_matrices(rule, 3, 7, part, size=512), together[part])
    others = [
        draw_matrices(rule, seed, epoch, np.arange(20) + start, size=512, pass_index=number)
        for seed, epoch, start, number in ((4, 7, 0, 0), (3, 8, 0, 0), (3, 7, 20, 0), (3, 7, 0, 1))
    ]
    for other in others:
        assert not (other == together).all(dim=(1, 2)).any()


def test_global_generators_play_no_part():
    rule = load_protocol("identical").augment
    first = draw_matrices(rule, 0, 0, [1, 2], size=64)
    torch.manual_seed(0)
    np.random.seed(0)
    assert torch.equal(draw_matrices(rule, 0, 0, [1, 2], size=64), first)


def test_one_option_leaves_the_draws_of_the_others_alone():
    both = draw_matrices(AugmentRule(hflip=1, vflip=1), 0, 0, range(30), size=64)
    neither = draw_matrices(AugmentRule(hflip=0, vflip=0), 0, 0, range(30), size=64)
    assert torch.equal(both[:, :, :2], -neither[:, :, :2])
    assert torch.equal(both[:, :, 2], neither[:, :, 2])


@given(st.integers(0, 2**63 - 1), st.integers(0, 1000))
def test_zoom_crops_inside_the_image_and_pads_around_it(seed, epoch):
    matrices = draw_matrices(AugmentRule(zoom=(0.5, 1.5)), seed, epoch, range(8), size=512)
    scale = matrices[:, [0, 1], [0, 1]].abs()
    assert torch.equal(scale[:, 0], scale[:, 1])
    assert ((scale >= 1 / 1.5 - 1e-6) & (scale <= 2 + 1e-6)).all()
    low, high = matrices[:, :, 2] - scale, matrices[:, :, 2] + scale
    crops = scale < 1
    assert (low[crops] >= -1 - 1e-5).all()
    assert (high[crops] <= 1 + 1e-5).all()
    assert (low[~crops] <= -1 + 1e-5).all()
    assert (high[~crops] >= 1 - 1e-5).all()


def test_zoom_and_flips_follow_their_distributions():
    matrices = draw_matrices(AugmentRule(hflip=0.25, vflip=0.5), 0, 0, range(4000), size=512)
    zoom = 1 / matrices[:, 0, 0].abs()
    assert zoom.mean().item() == pytest.approx(1, abs=0.02)
    assert zoom.std().item() == pytest.approx(1 / 12**0.5, abs=0.01)
    assert (matrices[:, 0, 0] < 0).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert (matrices[:, 1, 1] < 0).float().mean().item() == pytest.approx(0.5, abs=0.03)
    shift = matrices[:, :, 2] / (1 - 1 / zoom).abs()[:, None]
    assert shift.abs().max().item() <= 1 + 1e-3
    assert torch.corrcoef(shift.T)[0, 1].item() == pytest.approx(0, abs=0.06)


def test_mode_none_is_the_identity_whatever_else_is_set():
    rule = AugmentRule(mode="none", hflip=1, vflip=1, border_crop=1)
    assert torch.equal(draw_matrices(rule, 0, 0, range(3), size=64), IDENTITY.expand(3, 2, 3))


def test_border_crop_takes_whole_pixels_of_its_own_size_from_opposite_sides():
    rule = load_protocol("miniseg-code", ["vflip=0"]).augment
    large = draw_matrices(rule, 0, 0, range(2000), size=768, factor_index=0)
    small = draw_matrices(rule, 0, 0, range(2000), size=512, factor_index=3)
    assert (large[:, :, 2] == 0).all()
    for matrices, size, most in ((large, 768, 50), (small, 512, 16)):
        cut = (1 - matrices[:, [0, 1], [0, 1]]) * size / 2
        assert torch.allclose(cut, cut.round(), atol=1e-3)
        assert set(cut.round().int().flatten().tolist()) == set(range(most + 1))
        untouched = (cut.round() == 0).all(dim=1).float().mean().item()
        assert untouched == pytest.approx(0.5, abs=0.04)
        assert not torch.equal(cut[:, 0], cut[:, 1])


# The resampling


@pytest.mark.parametrize("size", [33, 64, 100])
def test_identity_at_the_same_size_copies(size):
    images = torch.randint(0, 256, (2, size, size), dtype=torch.uint8)
    masks = torch.randint(0, 256, (2, size, size), dtype=torch.uint8)
    x, y = resample(images, masks, IDENTITY.expand(2, 2, 3), size)
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64
    assert torch.equal(x[:, 0], images.float())
    assert torch.equal(y, masks.long())


@pytest.mark.parametrize(("x", "y", "axes"), [(-1, 1, [2]), (1, -1, [1]), (-1, -1, [1, 2])])
def test_flips_move_image_and_mask_alike(x, y, axes):
    images, masks = pair()
    moved, labels = resample(images, masks, matrix(x, y), 64)
    assert torch.equal(moved[:, 0], images.flip(axes).float())
    assert torch.equal(labels, masks.flip(axes).long())


def test_whole_pixel_shift_is_exact_and_pads():
    images, masks = pair()
    moved, labels = resample(images, masks, matrix(right=2 * 8 / 64), 64)
    assert torch.equal(moved[0, 0, :, :56], images[0, :, 8:].float())
    assert torch.equal(labels[0, :, :56], masks[0, :, 8:].long())
    assert (moved[0, 0, :, 56:] == 0).all()
    assert (labels[0, :, 56:] == 255).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([32, 64, 96]))
def test_padding_is_air_exactly_where_the_label_is_255_and_content_agrees(seed, size):
    images, masks = pair(64, batch=3)
    matrices = draw_matrices(AugmentRule(), seed, 0, range(3), size=size)
    moved, labels = resample(images, masks, matrices, size)
    moved = moved[:, 0]
    assert torch.equal(moved == 0, labels == 255)
    # 100 and 200 are the image's only values: what is not a blend of both tells the label.
    assert (labels[moved == 200] == 1).all()
    assert (labels[moved == 100] == 0).all()
    inside = labels != 255
    assert ((moved[inside] >= 100) & (moved[inside] <= 200)).all()


def test_zooming_out_by_two_shows_the_whole_image_on_a_quarter_of_the_area():
    images, masks = pair()
    _, labels = resample(images, masks, matrix(2, 2, 0.5, -1), 64)
    assert torch.equal(labels[0, 32:, 8:40], masks[0, 1::2, 1::2].long())
    assert (labels != 255).sum() == 32 * 32


@pytest.mark.parametrize(("source", "size"), [(64, 64), (64, 96), (64, 48), (50, 64)])
def test_inside_the_image_it_is_the_bilinear_and_nearest_sampling_of_torch(source, size):
    images = torch.randint(0, 256, (4, source, source), dtype=torch.uint8)
    masks = torch.randint(0, 3, (4, source, source), dtype=torch.uint8)
    rule = AugmentRule(zoom=(1.1, 1.5), border_crop=0.5, border_crop_px=(4,))
    matrices = draw_matrices(rule, 5, 0, range(4), size=size)
    x, y = resample(images, masks, matrices, size)
    grid = F.affine_grid(matrices, [4, 1, size, size], align_corners=False)
    wanted = F.grid_sample(
        images[:, None].float(), grid, padding_mode="border", align_corners=False
    )
    torch.testing.assert_close(x, wanted, rtol=0, atol=0.05)
    nearest = F.grid_sample(masks[:, None].float(), grid, mode="nearest", align_corners=False)
    # Where a centre lies between two pixels up to rounding, either neighbour is right.
    assert (y == nearest[:, 0].long()).float().mean() > 0.999


def test_resizing_alone_is_torchs_bilinear_interpolation():
    images = torch.randint(0, 256, (2, 64, 64), dtype=torch.uint8)
    masks = torch.zeros(2, 64, 64, dtype=torch.uint8)
    for size in (96, 48, 32):
        x, y = resample(images, masks, IDENTITY.expand(2, 2, 3), size)
        wanted = F.interpolate(
            images[:, None].float(), (size, size), mode="bilinear", align_corners=False
        )
        torch.testing.assert_close(x, wanted, rtol=0, atol=1e-3)
        assert (y == 0).all()


def test_labels_are_never_blended():
    masks = torch.randint(0, 2, (2, 64, 64), dtype=torch.uint8) * 3
    masks[:, :8] = 255
    matrices = draw_matrices(AugmentRule(), 1, 1, range(2), size=64)
    _, labels = resample(masks, masks, matrices, 64)
    assert set(labels.unique().tolist()) <= {0, 3, 255}


def test_rotation_is_refused():
    images, masks = pair()
    with pytest.raises(ValueError, match="rotation"):
        resample(images, masks, torch.tensor([[[1, 0.1, 0], [0, 1, 0]]]), 64)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_and_cpu_agree():
    images, masks = pair(64, batch=4)
    matrices = draw_matrices(AugmentRule(), 0, 0, range(4), size=64)
    x, y = resample(images, masks, matrices, 64)
    gx, gy = resample(images.cuda(), masks.cuda(), matrices, 64)
    torch.testing.assert_close(gx.cpu(), x, rtol=0, atol=1e-3)
    assert torch.equal(gy.cpu(), y)
